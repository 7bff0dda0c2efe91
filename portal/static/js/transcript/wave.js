// The waveform, drawn from values that the server computed; the page works without it.

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const colours = () => ({ waveColor: colour("--ui-wave"), progressColor: colour("--ui-accent") });

/** Draw the waveform of `audio` into `place`; resolves to whether there is one. */
export async function drawWave(place, audio, address, duration) {
  if (!window.WaveSurfer) return false;
  const answer = await fetch(address);
  if (!answer.ok) return false;
  const { peaks } = await answer.json();
  if (!peaks.length) return false;
  const wave = window.WaveSurfer.create({
    container: place,
    media: audio,
    peaks: [peaks],
    duration,
    height: 44,
    barWidth: 3,
    barGap: 3,
    barRadius: 2,
    barMinHeight: 2,
    cursorWidth: 2,
    cursorColor: colour("--ui-text"),
    normalize: true,
    interact: false,
    hideScrollbar: true,
    cspNonce: document.querySelector('meta[name="csp-nonce"]')?.content,
    ...colours(),
  });
  new MutationObserver(() => wave.setOptions({ ...colours(), cursorColor: colour("--ui-text") })).observe(
    document.documentElement,
    { attributes: true, attributeFilter: ["data-bs-theme"] },
  );
  return true;
}
