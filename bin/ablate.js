#!/bin/sh
':' //; export ABLATE_HANG_UP="$(exec 2> /dev/null; sh -c 'kill -s HUP $$; echo ignored'; :)"; exec node "$0" "$@"
// Two programs in one file. For a shell, the line above is all: it notes whether hang-ups are to be ignored (`nohup`), and makes way for
// Node, which forgets that when it starts. For Node, that line is a string and a comment.
import { existsSync } from 'node:fs';

const program = new URL('../dist/cli/main.js', import.meta.url);
if (existsSync(program)) {
  await import(program.href);
} else {
  process.stderr.write('error: ablate is not set up yet\nnpm run setup\n');
  process.exitCode = 1;
}
