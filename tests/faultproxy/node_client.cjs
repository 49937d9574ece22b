// Drives the server at argv[3] with the client installed at argv[2]; prints what it saw as one line of JSON.
const { Toxiproxy } = require(process.argv[2]);

async function main() {
  const toxiproxy = new Toxiproxy(process.argv[3]);
  const saw = {};
  saw.version = (await toxiproxy.getVersion()).includes("version");
  const proxy = await toxiproxy.createProxy({ name: "node", listen: "127.0.0.1:0", upstream: "localhost:1" });
  saw.created = [proxy.name, proxy.upstream, proxy.enabled, proxy.listen !== "127.0.0.1:0"];
  const toxic = await proxy.addToxic({
    name: "slow", type: "latency", stream: "upstream", toxicity: 0.5, attributes: { latency: 100, jitter: 10 },
  });
  saw.added = toxic.toJson();
  saw.updated = (await toxic.update({ toxicity: 1, attributes: { latency: 7 } })).toJson();
  saw.shown = (await proxy.getToxic("slow")).toJson();
  await toxic.remove();
  saw.removed = await proxy.getToxic("slow").catch((error) => error.message);
  saw.disabled = (await proxy.update({ ...proxy.toJson(), enabled: false })).enabled;
  await proxy.addToxic({ type: "timeout", attributes: { timeout: 0 } });
  await toxiproxy.reset();
  saw.healed = (await toxiproxy.get("node")).enabled;
  saw.conflict = await toxiproxy.createProxy(proxy.toJson()).catch((error) => error.message);
  const wanted = ["b", "a"].map((name) => ({ name, listen: "127.0.0.1:0", upstream: "localhost:1" }));
  saw.populated = Object.keys(await toxiproxy.populate(wanted));
  saw.all = Object.keys(await toxiproxy.getAll());
  for (const one of Object.values(await toxiproxy.getAll())) await one.remove();
  saw.left = Object.keys(await toxiproxy.getAll());
  console.log(JSON.stringify(saw));
}

main();
