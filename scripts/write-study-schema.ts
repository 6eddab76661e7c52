/** Writes schemas/study.schema.json anew, after src/study/study-schema.ts was changed: `npm run schema`. */
import { fileURLToPath } from 'node:url';
import { studyJsonSchema } from '../src/study/json-schema.ts';
import { writeFileAtomic } from '../src/util/atomic-file.ts';

writeFileAtomic(
  fileURLToPath(new URL('../schemas/study.schema.json', import.meta.url)),
  `${JSON.stringify(studyJsonSchema(), null, 2)}\n`,
);
