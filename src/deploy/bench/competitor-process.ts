/** The process behind a competitor: it answers each request with a measurement of what its argument says. */
import { messageOf } from '../../util/errors.ts';
import type { CompetitorMessage, CompetitorSettings, MeasureRequest } from './competitor.ts';
import { createMeasurer } from './measurer.ts';

const measure = createMeasurer(JSON.parse(process.argv[2]!) as CompetitorSettings);

process.on('message', (request: MeasureRequest) => {
  measure(request).then(answer, (error: unknown) => {
    answer({ error: messageOf(error) });
  });
});

function answer(message: CompetitorMessage): void {
  process.send!(message);
}
