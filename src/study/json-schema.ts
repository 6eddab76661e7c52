/** The shape of a study file as JSON Schema, for editors: schemas/study.schema.json is this. */
import * as z from 'zod';
import { studySchema } from './study-schema.ts';

/** JSON Schema (draft 2020-12) of what a study file may say; which keys a configuration has is checked when the file is read. */
export function studyJsonSchema(): object {
  return { title: 'A study of ablate', ...z.toJSONSchema(studySchema, { io: 'input' }) };
}
