import dgram from "node:dgram";
const s = dgram.createSocket({type:"udp6", lookup:(h,o,cb)=>cb(null,h,6)});
s.on("error", e=>console.log("event", e.message));
s.connect(53,"2001:db8::1",(...a:unknown[])=>console.log("callback", a));
const t = dgram.createSocket({type:"udp6", lookup:(h,o,cb)=>cb(null,h,6)});
t.on("error", e=>console.log("event2", e.message));
t.connect(53,"fe80::1%nosuch0",(...a:unknown[])=>console.log("callback2", a));
