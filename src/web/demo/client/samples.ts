/**
 * Drawings of what the networks know, made for this page: simple shapes with the colours and the outlines that matter at 24 x 24 pixels.
 * They are no photographs, and a network may well be wrong about them.
 */

export interface Sample {
  readonly name: string;
  /** A drawing of 256 x 256 pixels. */
  readonly image: Blob;
}

const sky = background('#7fb6ee', '#d6e9fb');
const sea = `${background('#a9cdec', '#dcebf7')}<rect y="40" width="64" height="24" fill="#2f6690"/><path d="M0 44h64M0 50h64M0 57h64" stroke="#3d77a3" stroke-width="1.2"/>`;
const road = `${background('#b8d2e6', '#e4ecf2')}<rect y="34" width="64" height="10" fill="#7d9b66"/><rect y="42" width="64" height="22" fill="#5b5f66"/>`;
const meadow = `${background('#a8cdea', '#dbe9ee')}<rect y="36" width="64" height="28" fill="#6f9a4c"/><path d="M0 36q16-5 32 0t32 0v4H0z" fill="#7fa85a"/>`;
const forest = `<rect width="64" height="64" fill="#4d6b3c"/><rect y="40" width="64" height="24" fill="#7c8a4e"/><path d="M6 0v42M19 0v38M47 0v40M58 0v42" stroke="#3b4f2e" stroke-width="5"/>`;

const drawings: Readonly<Record<string, string>> = {
  airplane: `${sky}
    <path d="M5 33q2-5 10-5l33 0q9 1 12 5-3 4-12 4H15q-7 0-10-4z" fill="#f4f6f8" stroke="#8b98a5" stroke-width=".8"/>
    <path d="M24 34l10 17h6L35 34zM25 29l9-15h5l-4 15z" fill="#c3ccd5"/>
    <path d="M7 31L4 19h6l7 10z" fill="#3a6ea8"/>
    <path d="M18 31.5h32" stroke="#5b6b7a" stroke-width="1.4" stroke-dasharray="1.6 1.6"/>`,
  automobile: `${road}
    <path d="M7 44v-7q0-3 5-4l7-1 7-8q1-2 4-2h13q3 0 4 2l4 8 4 1q4 1 4 5v6z" fill="#c8102e"/>
    <path d="M23 32l6-7h6v7zM38 25h6l4 7H38z" fill="#bcd6e8"/>
    <circle cx="18" cy="45" r="6.5" fill="#1b1d20"/><circle cx="47" cy="45" r="6.5" fill="#1b1d20"/>
    <circle cx="18" cy="45" r="2.8" fill="#c9ced4"/><circle cx="47" cy="45" r="2.8" fill="#c9ced4"/>
    <rect x="55" y="36" width="4" height="3" fill="#ffe9a8"/>`,
  bird: `<rect width="64" height="64" fill="#86a06a"/><path d="M0 0h64v26q-30 14-64 4z" fill="#9db583"/>
    <path d="M4 53q28-7 56 1" stroke="#5d4630" stroke-width="4" fill="none"/>
    <path d="M14 36q0-18 17-22 4-7 12-5 8 2 8 11-2 22-20 24-13 1-17-8z" fill="#8a5a34"/>
    <path d="M29 43q17-1 20-21-5 2-9 9-4 9-11 12z" fill="#e9d8bd"/>
    <path d="M16 35q10-14 20-11-3 14-16 16z" fill="#5f3b20"/>
    <path d="M15 38L3 49l16-5z" fill="#5f3b20"/>
    <circle cx="44" cy="16" r="2" fill="#111"/><path d="M51 16l8 3-8 2z" fill="#d99a2b"/>
    <path d="M29 44v7M36 43v8" stroke="#8a6a3a" stroke-width="1.8"/>`,
  cat: `<rect width="64" height="64" fill="#a79784"/><rect y="0" width="64" height="20" fill="#bdae9b"/>
    <path d="M10 64q-2-20 8-26h28q10 6 8 26z" fill="#8b7a68"/>
    <path d="M12 8l11 10h18L52 8l3 26q-3 16-23 16T9 34z" fill="#9a8975"/>
    <path d="M16 15l6 6-7 5zM48 15l-6 6 7 5z" fill="#c79a90"/>
    <path d="M32 17v9M26 17v7M38 17v7M12 34h7M45 34h7M13 39l7-1M51 39l-7-1M16 54h9M39 54h9" stroke="#5a4c3e" stroke-width="2.2"/>
    <path d="M24 38q8-4 16 0 1 10-8 10t-8-10z" fill="#e6ddd0"/>
    <ellipse cx="23" cy="31" rx="4" ry="3.4" fill="#c6c552"/><ellipse cx="41" cy="31" rx="4" ry="3.4" fill="#c6c552"/>
    <path d="M23 28.5v5M41 28.5v5" stroke="#111" stroke-width="2.2"/>
    <path d="M29.5 38h5L32 41z" fill="#a8625a"/><path d="M32 41v3" stroke="#6b5a4a" stroke-width="1"/>`,
  deer: `${forest}
    <path d="M16 35q2-5 10-5h16l5-9q2-4 6-3l4 4-1 3-5 1-3 8q0 8-6 9H24q-8 0-8-8z" fill="#a8703f"/>
    <path d="M20 40v17M25 42v15M40 42v15M44 41v16" stroke="#8c5a30" stroke-width="3"/>
    <path d="M50 18q-5-4-4-12M50 18q3-5 8-8M48 12l-5-2M54 13l-1-5" stroke="#d8c6a3" stroke-width="1.6" fill="none"/>
    <path d="M17 34l-4 5 4 1z" fill="#efe6d6"/><circle cx="53" cy="20" r="1" fill="#111"/>`,
  dog: `${meadow}
    <ellipse cx="32" cy="56" rx="16" ry="15" fill="#c08b4f"/>
    <path d="M19 22q2-10 13-10t13 10l1 14q-2 12-14 12T18 36z" fill="#cf9a5c"/>
    <path d="M20 18q-9 2-9 18 0 5 4 4 5-2 6-14zM44 18q9 2 9 18 0 5-4 4-5-2-6-14z" fill="#7f552b"/>
    <ellipse cx="32" cy="38" rx="8.5" ry="7.5" fill="#f0dfc6"/><ellipse cx="32" cy="34" rx="3.6" ry="2.6" fill="#1d1712"/>
    <circle cx="26" cy="27" r="2.1" fill="#1d1712"/><circle cx="38" cy="27" r="2.1" fill="#1d1712"/>
    <path d="M30 43h4v4q-2 3-4 0z" fill="#d9737d"/>`,
  frog: `<rect width="64" height="64" fill="#a98f6a"/><path d="M0 50q20-8 64-2v16H0z" fill="#8a7250"/>
    <path d="M8 50q-2-12 8-14l4 14zM56 50q2-12-8-14l-4 14z" fill="#4f7d2a"/>
    <ellipse cx="32" cy="39" rx="20" ry="14" fill="#6ba03a"/>
    <ellipse cx="32" cy="46" rx="13" ry="6.5" fill="#d4dda2"/>
    <circle cx="22" cy="26" r="6.5" fill="#6ba03a"/><circle cx="42" cy="26" r="6.5" fill="#6ba03a"/>
    <circle cx="22" cy="25" r="3.6" fill="#e6c544"/><circle cx="42" cy="25" r="3.6" fill="#e6c544"/>
    <ellipse cx="22" cy="25" rx="2.2" ry="1.5" fill="#111"/><ellipse cx="42" cy="25" rx="2.2" ry="1.5" fill="#111"/>
    <path d="M17 38q15 7 30 0" stroke="#39611c" stroke-width="1.4" fill="none"/>
    <path d="M12 52h11M41 52h11" stroke="#4f7d2a" stroke-width="4" stroke-linecap="round"/>`,
  horse: `${meadow}
    <path d="M13 32q1-5 9-5h17l6-12q2-5 6-3l8 9-2 4-7 0-4 10q-1 7-8 8H22q-9-1-9-11z" fill="#7a4a26"/>
    <path d="M17 40l-1 19M24 42l1 17M39 42l0 17M44 39l2 19" stroke="#63391a" stroke-width="3.8"/>
    <path d="M39 27l6-14 4-2-6 17z" fill="#2b1a0e"/><path d="M13 31q-6 6-4 19 5-4 6-14z" fill="#2b1a0e"/>
    <circle cx="52" cy="17" r="1.1" fill="#111"/>`,
  ship: `${sea}
    <path d="M5 38h54l-7 12H13z" fill="#b23a2e"/><path d="M5 38h54l-2 4H7z" fill="#26323d"/>
    <path d="M15 38V29h30v9zM20 29v-6h19v6z" fill="#f2f4f5"/>
    <path d="M18 33h26M23 26h14" stroke="#54708a" stroke-width="1.8" stroke-dasharray="2.2 2"/>
    <path d="M26 23v-9h6v9z" fill="#e0a030"/><path d="M44 29V15" stroke="#4a5560" stroke-width="1.3"/>`,
  truck: `${road}
    <rect x="4" y="18" width="34" height="26" fill="#e9edf0" stroke="#9aa5b0" stroke-width=".8"/>
    <path d="M39 44V25h10q2 0 4 3l5 7q1 1 1 3v6z" fill="#1f5fa8"/><path d="M43 35v-7h6l5 7z" fill="#bcd6e8"/>
    <rect x="4" y="43" width="55" height="3" fill="#2a2d31"/>
    <circle cx="13" cy="47" r="5.5" fill="#17191c"/><circle cx="26" cy="47" r="5.5" fill="#17191c"/><circle cx="49" cy="47" r="5.5" fill="#17191c"/>
    <circle cx="13" cy="47" r="2.2" fill="#b9c0c7"/><circle cx="26" cy="47" r="2.2" fill="#b9c0c7"/><circle cx="49" cy="47" r="2.2" fill="#b9c0c7"/>`,
};

/** The shapes of the synthetic images. */
const shapes: Readonly<Record<string, string>> = {
  disc: '<circle cx="32" cy="32" r="20" fill="#d9622b"/>',
  ring: '<circle cx="32" cy="32" r="16" fill="none" stroke="#b9a21f" stroke-width="10"/>',
  square: '<rect x="15" y="15" width="34" height="34" fill="#d0b92f"/>',
  triangle: '<path d="M32 12L52 48H12z" fill="#4fa32c"/>',
  cross: '<path d="M26 12h12v14h14v12H38v14H26V38H12V26h14z" fill="#2fa36b"/>',
  star: '<path d="M32 10l6 15 16 1-12 10 4 16-14-9-14 9 4-16L10 26l16-1z" fill="#2a9fb0"/>',
  crescent: '<path d="M38 13a20 20 0 100 38 15.5 15.5 0 010-38z" fill="#2f7fd0"/>',
  stripes: within('<path d="M18 8v48M30 8v48M42 8v48" stroke="#4a63d0" stroke-width="7"/>'),
  checks: within(
    '<path d="M14 20h9v9h-9zM32 20h9v9h-9zM23 29h9v9h-9zM41 29h9v9h-9zM14 38h9v9h-9zM32 38h9v9h-9zM23 11h9v9h-9zM41 11h9v9h-9zM23 47h9v9h-9z" fill="#8b4ad0"/>',
  ),
  dots: within(
    '<g fill="#c93fb0"><circle cx="20" cy="20" r="4"/><circle cx="32" cy="20" r="4"/><circle cx="44" cy="20" r="4"/><circle cx="20" cy="32" r="4"/><circle cx="32" cy="32" r="4"/><circle cx="44" cy="32" r="4"/><circle cx="20" cy="44" r="4"/><circle cx="32" cy="44" r="4"/><circle cx="44" cy="44" r="4"/></g>',
  ),
};

function within(pattern: string): string {
  return `<clipPath id="c"><circle cx="32" cy="32" r="20"/></clipPath><g clip-path="url(#c)">${pattern}</g>`;
}

/** Digits as they are in MNIST: white on black. */
const digits = Object.fromEntries(
  Array.from({ length: 10 }, (_, i) => [
    String(i),
    `<rect width="64" height="64"/><text x="32" y="50" font-family="sans-serif" font-size="52" text-anchor="middle" fill="white">${i}</text>`,
  ]),
);

const everything: Readonly<Record<string, string>> = {
  ...drawings,
  ...Object.fromEntries(Object.entries(shapes).map(([name, shape]) => [name, `${background('#b9c2cb', '#8d98a4')}${shape}`])),
  ...digits,
};

/** A rectangle that fills the drawing, from one colour at the top to another at the bottom. */
function background(top: string, bottom: string): string {
  return `<linearGradient id="g" x2="0" y2="1"><stop stop-color="${top}"/><stop offset="1" stop-color="${bottom}"/></linearGradient><rect width="64" height="64" fill="url(#g)"/>`;
}

export const samples: readonly Sample[] = Object.entries(everything).map(([name, content]) => {
  const drawing = `<svg xmlns="http://www.w3.org/2000/svg" width="256" height="256" viewBox="0 0 64 64">${content}</svg>`;
  return { name, image: new Blob([drawing], { type: 'image/svg+xml' }) };
});
