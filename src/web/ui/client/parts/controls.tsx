/** Small things to choose with, each a native control. */
import type { ComponentChildren } from 'preact';
import { useEffect, useRef } from 'preact/hooks';

interface ChoiceProps<T extends string> {
  readonly label: string;
  readonly value: T;
  readonly options: readonly (readonly [value: T, name: string])[];
  readonly onChange: (value: T) => void;
}

/** One of several, all in view. */
export function Segments<T extends string>({ label, value, options, onChange }: ChoiceProps<T>) {
  return (
    <div class="segments" role="radiogroup" aria-label={label}>
      {options.map(([each, name]) => (
        <label key={each} class={each === value ? 'chosen' : ''}>
          <input
            type="radio"
            name={label}
            checked={each === value}
            onChange={() => {
              onChange(each);
            }}
          />
          {name}
        </label>
      ))}
    </div>
  );
}

/** One of many. */
export function Select<T extends string>({ label, value, options, onChange }: ChoiceProps<T>) {
  return (
    <label class="field">
      <span>{label}</span>
      <select
        value={value}
        onChange={(event) => {
          onChange(event.currentTarget.value as T);
        }}
      >
        {options.map(([each, name]) => (
          <option key={each} value={each}>
            {name}
          </option>
        ))}
      </select>
    </label>
  );
}

interface ToggleProps {
  readonly isOn: boolean;
  readonly onChange: (isOn: boolean) => void;
  readonly children: ComponentChildren;
  readonly title?: string;
}

export function Toggle({ isOn, onChange, children, title }: ToggleProps) {
  return (
    <button
      type="button"
      class="toggle"
      aria-pressed={isOn}
      title={title}
      onClick={() => {
        onChange(!isOn);
      }}
    >
      {children}
    </button>
  );
}

/** A button that opens a panel below it; Escape and a click elsewhere close it. */
export function Menu({ label, children }: { readonly label: ComponentChildren; readonly children: ComponentChildren }) {
  const details = useRef<HTMLDetailsElement>(null);
  useEffect(() => {
    const close = (event: Event) => {
      const element = details.current;
      if (!element?.open) return;
      const isEscape = event instanceof KeyboardEvent && event.key === 'Escape';
      const isElsewhere = event instanceof PointerEvent && !element.contains(event.target as Node);
      if (!isEscape && !isElsewhere) return;
      element.open = false;
      if (isEscape) element.querySelector('summary')?.focus();
    };
    addEventListener('keydown', close);
    addEventListener('pointerdown', close);
    return () => {
      removeEventListener('keydown', close);
      removeEventListener('pointerdown', close);
    };
  }, []);
  return (
    <details class="menu" ref={details}>
      <summary>{label}</summary>
      <div class="panel">{children}</div>
    </details>
  );
}

export function Facts({ facts }: { readonly facts: readonly (readonly [term: string, value: ComponentChildren])[] }) {
  return (
    <dl class="facts">
      {facts.map(([term, value]) => (
        <div key={term}>
          <dt>{term}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}

/** How far something is; the number beside it says the same. */
export function ProgressBar({ share, state }: { readonly share: number; readonly state: string }) {
  return (
    <span class={`bar ${state}`} aria-hidden="true">
      <span style={{ width: `${Math.round(1000 * Math.min(1, Math.max(0, share))) / 10}%` }} />
    </span>
  );
}

/** What there is to see where there is nothing to see. */
export function Empty({ title, children }: { readonly title: string; readonly children?: ComponentChildren }) {
  return (
    <div class="empty">
      <p class="title">{title}</p>
      {children}
    </div>
  );
}
