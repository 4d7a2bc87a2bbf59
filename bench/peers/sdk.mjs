// The SDK of a build, so that another build is measured with its own clients.

/** @param build the folder of the build, from the project's root */
export async function clientOf(build = 'dist') {
  const { Client } = await import(new URL(`../../${build}/client/index.js`, import.meta.url));
  return Client;
}
