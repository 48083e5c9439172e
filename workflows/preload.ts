// A stack for each promise and error costs a fifth of a workflow. What fails here is told by its type and message.
Error.stackTraceLimit = 0;
