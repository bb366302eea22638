// A client that is no page: `native.mjs SERVER PID PROGRAM ARGUMENT...` is the program's verdict. It is given the server last.
import { scenario, check, server, options } from './driver.mjs';
import { spawn } from 'node:child_process';

await scenario(async () => {
  const [program, ...given] = options;
  const client = spawn(program, [...given, server], { stdio: ['ignore', 'inherit', 'inherit'] });
  process.on('exit', () => client.kill('SIGKILL'));
  const ended = await new Promise((done, failed) => client.on('error', failed).on('exit', (code, signal) => done(code ?? signal)));
  check(ended === 0, `${options} ended with ${ended}`);
});
