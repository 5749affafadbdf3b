/** Tests that go on from one another. */
import { beforeEach } from 'vitest';

/** After the first failure the rest of a file or `describe` fails at once, instead of waiting for what cannot come. */
export function oneStory(): void {
  let failed: string | undefined;
  beforeEach(({ task, onTestFailed }) => {
    if (failed !== undefined) throw new Error(`this goes on from "${failed}", which failed`);
    onTestFailed(() => {
      failed ??= task.name;
    });
  });
}
