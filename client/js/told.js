// told waits for an event by which a library tells that it has shown an answer. One that
// fails at that tells nothing, so this waits no longer than 5 seconds after the answer
// was read.
export function told(names, read, isIt = () => true) {
  const { promise, resolve } = Promise.withResolvers(), done = event => isIt(event) && resolve();
  for (const name of names) addEventListener(name, done);
  read.then(() => setTimeout(resolve, 5000));
  return promise.finally(() => { for (const name of names) removeEventListener(name, done); });
}
