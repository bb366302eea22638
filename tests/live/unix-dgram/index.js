// janode can also speak over datagram sockets, and loads this for that: the real one has to be compiled.
export const createSocket = () => { throw new Error('only WebSockets are spoken here'); };
