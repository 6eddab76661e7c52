import { useState } from 'preact/hooks';

/** Browsers give the clipboard to pages of this machine, and to no others without encryption. */
export function CopyButton({ text }: { readonly text: string }) {
  const [isCopied, setCopied] = useState(false);
  if (!isSecureContext) return null;
  return (
    <button
      type="button"
      class="text-button"
      onClick={() => {
        void navigator.clipboard.writeText(text).then(() => {
          setCopied(true);
          setTimeout(() => {
            setCopied(false);
          }, 2000);
        });
      }}
    >
      {isCopied ? 'copied' : 'copy'}
    </button>
  );
}
