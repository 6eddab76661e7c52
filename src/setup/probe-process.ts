/** The process that looks for oneDNN after something was installed: onednn.ts starts it, and reads its one message. */
import { probeOnednn } from '../engine/onednn/probe.ts';

process.send?.(probeOnednn());
