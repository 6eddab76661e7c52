/** Stops a run that is trained now, where the page may. */
import { useState } from 'preact/hooks';
import { tokenHeader, type RunRow } from '../../protocol.ts';
import { useApp } from '../state/app.ts';
import { controlToken } from '../state/location.ts';

type Step = 'ready' | 'asking' | 'stopping';

export function StopButton({ row }: { readonly row: RunRow }) {
  const { live } = useApp();
  const [step, setStep] = useState<Step>('ready');
  const [problem, setProblem] = useState<string>();
  const token = controlToken();
  if (live.page?.control !== true || token === undefined || row.state !== 'running') return null;

  const stop = async () => {
    setStep('stopping');
    const response = await fetch(`api/stop?id=${encodeURIComponent(row.id)}`, {
      method: 'POST',
      headers: { [tokenHeader]: token },
    });
    if (response.ok) return;
    setStep('ready');
    setProblem(await response.text());
  };

  return (
    <span class="stop">
      {step === 'ready' && (
        <button
          type="button"
          class="button"
          onClick={() => {
            setProblem(undefined);
            setStep('asking');
          }}
        >
          Stop
        </button>
      )}
      {step === 'asking' && (
        <>
          <span>It saves after its step, and can be continued.</span>
          <button
            type="button"
            class="button"
            onClick={() => {
              stop().catch(() => {
                setStep('ready');
                setProblem('the server does not answer');
              });
            }}
          >
            Stop {row.id}
          </button>
          <button
            type="button"
            class="text-button"
            onClick={() => {
              setStep('ready');
            }}
          >
            go on
          </button>
        </>
      )}
      {step === 'stopping' && <span role="status">stopping…</span>}
      {problem !== undefined && (
        <span class="bad" role="alert">
          {problem}
        </span>
      )}
    </span>
  );
}
