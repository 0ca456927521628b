// A client as the tutorials write it: node client.js LIBRARY URL TRANSPORT [HEADER VALUE]
//
// The library is found by NODE_PATH. TRANSPORT is polling, websocket, or any: the library's own way,
// to poll and then change. It prints each event it receives, a line each, and sends each line of its input:
// an event and its data. It prints "started" before it connects, and "ready" once it has connected.

const readline = require("readline");

const [library, url, transport, header, value] = process.argv.slice(2);
const io = require(library);

const options = {};
if (transport !== "any") options.transports = [transport];
if (header) options.extraHeaders = { [header]: value };

const say = (...words) => console.log(...words);
say("started");
const socket = io(url, options);
socket.on("connect", () => say("connect"));
socket.once("connect", () => say("ready"));
socket.on("led", (data) => say("led", data.level));
socket.on("message", (data) => say("message", data));
socket.on("response", (response) => say("response", response.data));
for (const event of ["host_join_room", "add_chat_message"])
  socket.on(event, ({ name, message }) => say(event, name, message));
socket.on("disconnect", () => say("disconnect"));
socket.on("connect_error", (error) => {
  say("refused", error.message);
  process.exit(1);
});

const input = readline.createInterface({ input: process.stdin });
input.on("line", (line) => {
  const [event, ...rest] = line.split(" ");
  const data = rest.join(" ");
  socket.emit(event, event === "led" ? { level: data } : data[0] === "{" ? JSON.parse(data) : data);
});
input.on("close", () => socket.close());
