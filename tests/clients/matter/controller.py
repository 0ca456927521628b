"""A controller of Matter by the CHIP SDK, for the tests: the same commands as controller.mjs.

    controller.py FOLDER AUTHORITIES   keeps what it has paired in FOLDER; AUTHORITIES/*.der are those it trusts
"""

import asyncio
import json
import logging
import os
import sys

import chip.clusters as Clusters
import chip.native
from chip.CertificateAuthority import CertificateAuthorityManager
from chip.ChipStack import ChipStack

FOLDER, AUTHORITIES = sys.argv[1:]
NODE = 1
CLUSTERS = {
    "level": Clusters.LevelControl,
    "on": Clusters.OnOff,
    "info": Clusters.BridgedDeviceBasicInformation,
    "identify": Clusters.Identify,
}
REPORTED = {
    Clusters.LevelControl.Attributes.CurrentLevel: "level",
    Clusters.OnOff.Attributes.OnOff: "on",
    Clusters.BridgedDeviceBasicInformation.Attributes.NodeLabel: "label",
    Clusters.BridgedDeviceBasicInformation.Attributes.Reachable: "reachable",
    Clusters.Identify.Attributes.IdentifyTime: "identify",
}

# The SDK prints to standard output, so the results go elsewhere: to where that led before.
results = os.fdopen(os.dup(1), "w", buffering=1)
os.dup2(2, 1)
logging.basicConfig(level=logging.WARNING)


def show(result):
    results.write(json.dumps(result) + "\n")


class Controller:
    def __init__(self):
        chip.native.Init()
        self.stack = ChipStack(persistentStoragePath=f"{FOLDER}/chip.json", enableServerInteractions=False)
        # Kept, as its end is the end of the commissioner.
        self.manager = CertificateAuthorityManager(self.stack, self.stack.GetStorageManager())
        self.manager.LoadAuthoritiesFromStorage()
        authority = next(iter(self.manager.activeCaList), None) or self.manager.NewCertificateAuthority()
        admin = next(iter(authority.adminList), None) or authority.NewFabricAdmin(vendorId=0xFFF1, fabricId=2)
        self.commissioner = admin.NewController(paaTrustStorePath=AUTHORITIES)
        self.parts = []

    async def pair(self, code):
        await self.commissioner.CommissionWithCode(code.replace("-", ""), NODE)
        label = Clusters.OperationalCredentials.Commands.UpdateFabricLabel("Flat of Ben")
        await self.commissioner.SendCommand(NODE, 0, label)
        await self.connect()

    async def pair_half(self, code):
        """Leaves out the command that ends commissioning."""
        self.commissioner.SetSkipCommissioningComplete(True)
        await self.commissioner.CommissionWithCode(code.replace("-", ""), NODE)

    async def give_up(self):
        """Lets the device forget a pairing that was not ended, after a second."""
        await self.commissioner.SendCommand(
            NODE, 0, Clusters.GeneralCommissioning.Commands.ArmFailSafe(expiryLengthSeconds=1, breadcrumb=0)
        )

    async def pair_wrong(self, discriminator):
        """Tries the passcode of everybody's examples."""
        code = self.commissioner.CreateManualCode(discriminator, 20202021)
        await self.commissioner.CommissionWithCode(code, NODE)

    async def connect(self):
        paths = list(REPORTED)
        subscription = await self.commissioner.ReadAttribute(
            NODE, paths, reportInterval=(0, 10), autoResubscribe=True
        )
        # What it reports at first is no change.
        self.parts = sorted(subscription.GetAttributes())
        subscription.SetAttributeUpdateCallback(self.report)
        self.subscription = subscription

    def report(self, path, transaction):
        attribute = REPORTED.get(path.AttributeType)
        if attribute:
            value = transaction.GetAttribute(path)
            show({"endpoint": path.Path.EndpointId, "attribute": attribute, "value": value})

    async def lights(self):
        return [part for part in self.parts if part > 1]

    async def read(self, endpoint, of, attribute):
        attribute = attribute_of(of, attribute)
        answer = await self.commissioner.ReadAttribute(NODE, [(endpoint, attribute)])
        return answer[endpoint][CLUSTERS[of]][attribute]

    async def write(self, endpoint, of, attribute, value):
        value = Clusters.Types.NullValue if value is None else value
        written = await self.commissioner.WriteAttribute(NODE, [(endpoint, attribute_of(of, attribute)(value))])
        if written[0].Status != 0:
            raise RuntimeError(f"status {written[0].Status}")

    async def send(self, endpoint, command):
        await self.commissioner.SendCommand(NODE, endpoint, command)

    async def on(self, endpoint, on):
        commands = Clusters.OnOff.Commands
        await self.send(endpoint, commands.On() if on else commands.Off())

    async def on_for(self, endpoint, tenths):
        command = Clusters.OnOff.Commands.OnWithTimedOff(onOffControl=0, onTime=tenths, offWaitTime=0)
        await self.send(endpoint, command)

    async def level(self, endpoint, level, tenths=None):
        time = Clusters.Types.NullValue if tenths is None else tenths
        command = Clusters.LevelControl.Commands.MoveToLevelWithOnOff(level=level, transitionTime=time)
        await self.send(endpoint, command)

    async def move(self, endpoint, up, rate):
        command = Clusters.LevelControl.Commands.MoveWithOnOff(moveMode=0 if up else 1, rate=rate)
        await self.send(endpoint, command)

    async def step(self, endpoint, up, size):
        command = Clusters.LevelControl.Commands.StepWithOnOff(
            stepMode=0 if up else 1, stepSize=size, transitionTime=0
        )
        await self.send(endpoint, command)

    async def stop(self, endpoint):
        await self.send(endpoint, Clusters.LevelControl.Commands.StopWithOnOff())

    async def identify(self, endpoint, seconds):
        await self.send(endpoint, Clusters.Identify.Commands.Identify(identifyTime=seconds))

    async def leave(self):
        await self.commissioner.UnpairDevice(NODE)


def attribute_of(cluster, name):
    return getattr(CLUSTERS[cluster].Attributes, name[0].upper() + name[1:])


async def main():
    controller = Controller()
    show({"ready": True})
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        arguments = json.loads(line)
        try:
            result = await getattr(controller, arguments.pop("command"))(**arguments)
            show({"result": result})
        except Exception as error:
            show({"error": f"{type(error).__name__}: {error}"})


asyncio.run(main())
# Without the SDK's own end, which may wait for a peer that is gone.
os._exit(0)
