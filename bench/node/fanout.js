/**
 * What `ws` does with the work of a relay, in its usual way: whatever `/camera` sends goes to everybody at `/player`.
 *
 *     node fanout.js [certificate.pem key.pem]
 *
 * Prints its port, and runs until its standard input ends.
 */

"use strict";

const fs = require("node:fs");
const http = require("node:http");
const https = require("node:https");
const { WebSocket, WebSocketServer } = require("ws");


/** Connections that the system takes while this program is busy; as many as in the relay. */
const BACKLOG = 512;


const [certificate, key] = process.argv.slice(2);
const server = certificate
  ? https.createServer({ cert: fs.readFileSync(certificate), key: fs.readFileSync(key), minVersion: "TLSv1.3" })
  : http.createServer();
const sockets = new WebSocketServer({ server, perMessageDeflate: false });  // ws sets TCP_NODELAY itself
const viewers = new Set();

sockets.on("connection", (socket, request) => {
  socket.on("error", () => socket.terminate());
  if (request.url.startsWith("/camera")) {
    socket.on("message", (data) => {
      for (const viewer of viewers) {
        if (viewer.readyState === WebSocket.OPEN) {
          viewer.send(data, { binary: true });
        }
      }
    });
    return;
  }
  viewers.add(socket);
  socket.on("close", () => viewers.delete(socket));
});

server.listen({ port: 0, host: "127.0.0.1", backlog: BACKLOG }, () => console.log(server.address().port));
process.stdin.resume();
process.stdin.on("end", () => process.exit(0));
