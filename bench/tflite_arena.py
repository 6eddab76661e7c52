"""Prints the smallest arena in which TensorFlow Lite Micro (its kernels for this machine) runs a .tflite file, in bytes, to 16 of them."""
import sys
from tflite_micro import runtime

model = open(sys.argv[1], "rb").read()


def fits(size):
    try:
        runtime.Interpreter.from_bytes(model, arena_size=size)
        return True
    except Exception:
        return False


low, high = 0, 1 << 24
while high - low > 16:
    middle = (low + high) // 2
    low, high = (low, middle) if fits(middle) else (middle, high)
assert fits(high)
print(high)
