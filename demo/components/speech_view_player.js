// The player of a `gr.Audio`: it keeps its audio element to itself and shows where it is by a cursor in an open shadow root.
// What plays without a waveform (streams, files the page cannot decode) has an audio element in the page instead.
function watchPlayer(elementId, onPlace) {
  let cursor = null, audio = null, observer = null;

  function find() {
    const root = elementId ? document.getElementById(elementId) : null;
    if (!root) return [null, null];
    for (const host of root.querySelectorAll("div")) {
      const found = host.shadowRoot && host.shadowRoot.querySelector(".cursor");
      if (found) return [found, null];
    }
    return [null, root.querySelector("audio")];
  }

  function tell() {
    if (cursor) {
      const share = parseFloat(cursor.style.left);
      onPlace(Number.isFinite(share) ? share / 100 : 0);
    } else if (audio && audio.duration > 0) onPlace(audio.currentTime / audio.duration);
  }

  function attach() {
    const [newCursor, newAudio] = find();
    if (newCursor === cursor && newAudio === audio) return;
    if (observer) observer.disconnect();
    if (audio) audio.removeEventListener("timeupdate", tell);
    [cursor, audio, observer] = [newCursor, newAudio, null];
    if (cursor) {
      observer = new MutationObserver(tell);
      observer.observe(cursor, { attributes: true, attributeFilter: ["style"] });
    }
    if (audio) audio.addEventListener("timeupdate", tell);
    tell();
  }

  // Go to a share of the whole, as a click into the player's own waveform would; false where there is no player.
  function seek(share) {
    attach();
    if (audio && audio.duration > 0) {
      audio.currentTime = share * audio.duration;
      return true;
    }
    const box = cursor && cursor.parentElement.getBoundingClientRect();
    if (!box || !box.width) return false;
    const place = { clientX: box.left + share * box.width, clientY: box.top + box.height / 2 };
    cursor.parentElement.dispatchEvent(new MouseEvent("click", { ...place, bubbles: true }));
    return true;
  }

  const timer = elementId ? setInterval(() => {
    if (element.isConnected) return attach();
    clearInterval(timer);
    if (observer) observer.disconnect();
  }, 400) : 0;
  attach();
  return { seek };
}
