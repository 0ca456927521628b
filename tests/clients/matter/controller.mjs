// A controller of Matter by matter.js, for the tests: a command in JSON on each line of standard input, and on standard
// output its result, and whatever a subscription reports.
//
//   node controller.mjs FOLDER   keeps what it has paired in FOLDER

import { createInterface } from "node:readline";

import "@matter/nodejs";
import { Environment, Logger } from "@matter/general";
import { ManualPairingCodeCodec } from "@matter/types";
import { BridgedDeviceBasicInformation } from "@matter/types/clusters/bridged-device-basic-information";
import { Descriptor } from "@matter/types/clusters/descriptor";
import { Identify } from "@matter/types/clusters/identify";
import { LevelControl } from "@matter/types/clusters/level-control";
import { OnOff } from "@matter/types/clusters/on-off";
import { CommissioningController } from "@project-chip/matter.js";

const print = (object) => process.stdout.write(JSON.stringify(object) + "\n");
// Its own log would be between the results.
Logger.destinations.default.write = (text) => process.stderr.write(text + "\n");

const environment = Environment.default;
environment.vars.set("storage.path", process.argv[2]);
const controller = new CommissioningController({
  environment: { environment, id: "controller" },
  autoConnect: false,
  adminFabricLabel: "Flat of Ana",
});
await controller.start();

const clusters = { level: LevelControl, on: OnOff, info: BridgedDeviceBasicInformation, identify: Identify };
const attributes = { currentLevel: "level", onOff: "on", nodeLabel: "label", reachable: "reachable", identifyTime: "identify" };
let node;

/** Connects, and reports what changes. */
async function connect(id) {
  node = await controller.connectNode(id, {
    subscribeMinIntervalFloorSeconds: 0,
    subscribeMaxIntervalCeilingSeconds: 10,
    attributeChangedCallback: (_, { path: { endpointId, attributeName }, value }) => {
      const attribute = attributes[attributeName];
      if (attribute) print({ endpoint: endpointId, attribute, value });
    },
  });
  if (!node.initialized) await node.events.initialized;
}

const cluster = (endpoint, name) => node.getClusterClientForDevice(endpoint, clusters[name]);
const options = { optionsMask: {}, optionsOverride: {} };

const commands = {
  /** Pairs the device of this code of 11 digits. */
  async pair({ code }) {
    const { shortDiscriminator, passcode } = ManualPairingCodeCodec.decode(code.replaceAll("-", ""));
    const identifierData = { shortDiscriminator };
    const discovery = { identifierData, discoveryCapabilities: { onIpNetwork: true } };
    const id = await controller.commissionNode(
      { commissioning: {}, discovery, passcode },
      { connectNodeAfterCommissioning: false },
    );
    await connect(id);
  },
  /** Connects again to what it has paired before. */
  connect: () => connect(controller.getCommissionedNodes()[0]),
  async lights() {
    const parts = await node.getRootClusterClient(Descriptor).attributes.partsList.get(true);
    return parts.filter((part) => part > 1).sort();
  },
  read: ({ endpoint, of, attribute }) => cluster(endpoint, of).attributes[attribute].get(true),
  write: ({ endpoint, of, attribute, value }) => cluster(endpoint, of).attributes[attribute].set(value),
  on: ({ endpoint, on }) => (on ? cluster(endpoint, "on").on() : cluster(endpoint, "on").off()),
  on_for: ({ endpoint, tenths }) =>
    cluster(endpoint, "on").onWithTimedOff({ onOffControl: {}, onTime: tenths, offWaitTime: 0 }),
  level: ({ endpoint, level, tenths }) =>
    cluster(endpoint, "level").moveToLevelWithOnOff({ level, transitionTime: tenths ?? null, ...options }),
  move: ({ endpoint, up, rate }) =>
    cluster(endpoint, "level").moveWithOnOff({ moveMode: up ? 0 : 1, rate, ...options }),
  step: ({ endpoint, up, size }) =>
    cluster(endpoint, "level").stepWithOnOff({ stepMode: up ? 0 : 1, stepSize: size, transitionTime: 0, ...options }),
  stop: ({ endpoint }) => cluster(endpoint, "level").stopWithOnOff(options),
  identify: ({ endpoint, seconds }) => cluster(endpoint, "identify").identify({ identifyTime: seconds }),
  /** Removes its fabric from the device. */
  leave: () => controller.removeNode(controller.getCommissionedNodes()[0]),
};

print({ ready: true });
for await (const line of createInterface({ input: process.stdin })) {
  const { command, ...args } = JSON.parse(line);
  try {
    print({ result: (await commands[command](args)) ?? null });
  } catch (error) {
    print({ error: `${error?.message ?? error}` });
  }
}
await controller.close();
process.exit(0);
