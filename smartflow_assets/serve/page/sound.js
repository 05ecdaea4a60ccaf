// A short beep. Off until a person turns it on, which is the gesture that browsers ask for; remembered, so the next visit needs one key or click.
import { remember, remembered } from "./storage.js";

let context = null;
let isOn = remembered("sound", false);

function wake() {
  if (!isOn) return;
  context ??= new AudioContext();
  if (context.state === "suspended") context.resume();
}

export const isSounding = () => isOn;

export function setSound(on) {
  isOn = on;
  remember("sound", on);
  wake();
  if (on) play("info"); // so that one hears what was turned on
}

/** Once, however many tabs hear of it: whoever has the lock first sounds. */
export function beep(severity) {
  if (!isOn || context?.state !== "running") return;
  if (!("locks" in navigator)) return play(severity);
  navigator.locks.request("smartflow.beep", { ifAvailable: true }, async (lock) => {
    if (!lock) return;
    play(severity);
    await new Promise((resolve) => setTimeout(resolve, 700));
  });
}

/** One tone; two for what is critical. */
function play(severity) {
  const tones = severity === "critical" ? [880, 660] : severity === "warning" ? [740] : [523];
  tones.forEach((tone, place) => {
    const start = context.currentTime + place * 0.16;
    const oscillator = context.createOscillator();
    const volume = context.createGain();
    oscillator.frequency.value = tone;
    volume.gain.setValueAtTime(0.0001, start);
    volume.gain.exponentialRampToValueAtTime(0.12, start + 0.02);
    volume.gain.exponentialRampToValueAtTime(0.0001, start + 0.15);
    oscillator.connect(volume).connect(context.destination);
    oscillator.start(start);
    oscillator.stop(start + 0.16);
  });
}

for (const gesture of ["pointerdown", "keydown"]) addEventListener(gesture, wake, { passive: true });
