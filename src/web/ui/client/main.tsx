/** The live page. */
import { render } from 'preact';
import { useEffect } from 'preact/hooks';
import { Empty } from './parts/controls.tsx';
import { AppContext, useApp, type App } from './state/app.ts';
import { followCurves } from './state/curves.ts';
import { connect } from './state/live.ts';
import { addressOf, takeToken, usePlace, type Place } from './state/location.ts';
import { useStore } from './state/store.ts';
import { startTheme, toggleTheme, useTheme } from './state/theme.ts';
import './styles/base.css';
import './styles/parts.css';
import './styles/views.css';
import { RunViewPage } from './views/run.tsx';
import { RunsView } from './views/runs.tsx';
import { StudiesView } from './views/studies.tsx';
import { StudyViewPage } from './views/study.tsx';

function Page() {
  const place = usePlace();
  const { live } = useApp();
  useStore(live);
  const [view = 'runs', name] = place.path;
  useEffect(() => {
    document.title = name === undefined ? 'ablate' : `${name} – ablate`;
    scrollTo(0, 0);
  }, [view, name]);
  return (
    <>
      <a class="skip" href="#content">
        Skip to the content
      </a>
      <Header view={view} />
      <main id="content" tabIndex={-1}>
        {live.page?.problem !== undefined && (
          <p class="banner problem" role="alert">
            {live.page.problem}
          </p>
        )}
        {live.page === undefined ? (
          <Empty title={live.connection === 'lost' ? 'The server does not answer' : 'Reading the runs…'} />
        ) : (
          <View place={place} />
        )}
      </main>
      <Footer />
    </>
  );
}

function View({ place }: { readonly place: Place }) {
  const [view = 'runs', name] = place.path;
  if (view === 'studies') return <StudiesView />;
  if (view === 'study' && name !== undefined) return <StudyViewPage key={name} place={place} name={name} />;
  if (view === 'run' && name !== undefined) return <RunViewPage key={name} place={place} id={name} />;
  return <RunsView place={place} />;
}

const connections = { connecting: 'connecting', live: 'live', lost: 'connection lost' } as const;

function Header({ view }: { readonly view: string }) {
  const { live } = useApp();
  useStore(live);
  const theme = useTheme();
  const links = [
    ['runs', 'Runs', view === 'runs' || view === 'run'],
    ['studies', 'Studies', view === 'studies' || view === 'study'],
  ] as const;
  return (
    <header class="top">
      <a class="brand" href="#/runs">
        <svg viewBox="0 0 16 16" width="20" height="20" aria-hidden="true">
          <rect width="16" height="16" rx="4" />
          <path d="M3.5 11.5C6 11.5 6 5 12.5 4.5" />
        </svg>
        ablate
      </a>
      <nav aria-label="Views">
        {links.map(([path, title, isCurrent]) => (
          <a key={path} href={addressOf([path])} aria-current={isCurrent ? 'page' : undefined}>
            {title}
          </a>
        ))}
      </nav>
      <span class="spacer" />
      {live.page !== undefined && (
        <span class="folder quiet" title="the folder of the runs">
          {live.page.folder}
        </span>
      )}
      <span class={`connection ${live.connection}`} role="status">
        {connections[live.connection]}
      </span>
      <button
        type="button"
        class="icon-button"
        aria-label={theme === 'dark' ? 'Light colours' : 'Dark colours'}
        onClick={toggleTheme}
      >
        <svg viewBox="0 0 16 16" width="16" height="16" aria-hidden="true">
          {theme === 'dark' ? (
            <path d="M8 4.5a3.5 3.5 0 100 7 3.5 3.5 0 000-7zM8 1v1.5M8 13.5V15M1 8h1.5M13.5 8H15M3 3l1 1M12 12l1 1M13 3l-1 1M4 12l-1 1" />
          ) : (
            <path d="M13.5 9.5A6 6 0 016.5 2.5a6 6 0 107 7z" />
          )}
        </svg>
      </button>
    </header>
  );
}

/** What is shown, who can see it, and what they can do. */
function Footer() {
  const { live } = useApp();
  useStore(live);
  if (live.page === undefined) return null;
  const { folder, version, reach, control } = live.page;
  return (
    <footer class="bottom">
      <span>
        ablate {version}, runs in <code>{folder}</code>
      </span>
      <span>
        {reach === 'machine'
          ? 'All users of the machine that serves this page can open it, and nobody else.'
          : 'Whoever reaches this address over the network can open this page: there is no password.'}{' '}
        {control
          ? 'Stopping runs takes the address with the token that ablate ui --control prints.'
          : 'It only shows: nothing can be changed here.'}
      </span>
    </footer>
  );
}

startTheme();
takeToken();
const live = connect();
const app: App = { live, curves: followCurves(live) };
render(
  <AppContext.Provider value={app}>
    <Page />
  </AppContext.Provider>,
  document.getElementById('app')!,
);
