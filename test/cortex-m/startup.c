/* What runs before main on a Cortex-M in QEMU: data and zeros to RAM, and semihosting for printf and the exit code. */
#include <stdint.h>

extern uint32_t stack_top, data_source, data_start, data_end, bss_start, bss_end;
int main(void);
void initialise_monitor_handles(void);
void _exit(int);

void start(void)
{
    const uint32_t *from = &data_source;
    uint32_t *to;
    for (to = &data_start; to < &data_end;) *to++ = *from++;
    for (to = &bss_start; to < &bss_end;) *to++ = 0;
    initialise_monitor_handles();
    _exit(main());
}

static void fault(void)
{
    _exit(99);
}

__attribute__((section(".vectors"), used)) static const uintptr_t vectors[16] = {
    (uintptr_t)&stack_top, (uintptr_t)start, (uintptr_t)fault, (uintptr_t)fault, (uintptr_t)fault, (uintptr_t)fault, (uintptr_t)fault,
};
