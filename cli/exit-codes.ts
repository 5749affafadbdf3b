/** What the process ends with, so that scripts can tell a failed run from a wrong call. */

export const EXIT_OK = 0;
export const EXIT_FAILURE = 1;
/** Unknown command or option, missing or malformed argument. */
export const EXIT_USAGE = 2;
