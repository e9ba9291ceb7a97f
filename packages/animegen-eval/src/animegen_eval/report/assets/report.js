"use strict";
(() => {
  const $ = (id) => document.getElementById(id);
  const node = (name, text = "", kind = "") => {
    const made = document.createElement(name);
    made.textContent = text;
    if (kind) made.className = kind;
    return made;
  };

  // Tables: a click on a heading sorts by it, a second one turns the order. Cells without a value stay last.
  const key = (row, column) => {
    const cell = row.cells[column];
    const text = cell.dataset.sort;
    if (text === undefined) return null;
    const value = text === "inf" ? Infinity : text === "-inf" ? -Infinity : Number(text);
    return Number.isNaN(value) || text === "" ? text : value;
  };
  const compare = (a, b) => {
    if (typeof a === "number" && typeof b === "number") return a - b;
    return String(a).localeCompare(String(b), undefined, { numeric: true });
  };
  const sort = (table, column) => {
    const heads = table.tHead.rows[0].cells;
    const down = heads[column].getAttribute("aria-sort") === "ascending";
    for (const head of heads) head.removeAttribute("aria-sort");
    heads[column].setAttribute("aria-sort", down ? "descending" : "ascending");
    const rows = [...table.tBodies[0].rows].map((row, place) => [key(row, column), place, row]);
    rows.sort((a, b) => {
      if (a[0] === null || b[0] === null) return (a[0] === null) - (b[0] === null) || a[1] - b[1];
      return (down ? -1 : 1) * compare(a[0], b[0]) || a[1] - b[1];
    });
    table.tBodies[0].append(...rows.map((row) => row[2]));
  };
  for (const table of document.querySelectorAll("table.sortable")) {
    [...table.tHead.rows[0].cells].forEach((head, column) => {
      head.querySelector("button").addEventListener("click", () => sort(table, column));
    });
  }

  // Text to the clipboard; a page opened from a file may not be allowed to, then the text is selected.
  for (const button of document.querySelectorAll("button.copy")) {
    button.hidden = false;
    button.addEventListener("click", async () => {
      const source = $(button.dataset.copy);
      try {
        await navigator.clipboard.writeText(source.textContent);
        button.textContent = "Copied";
      } catch {
        const range = document.createRange();
        range.selectNodeContents(source);
        getSelection().removeAllRanges();
        getSelection().addRange(range);
        button.textContent = document.execCommand("copy") ? "Copied" : "Selected";
      }
      setTimeout(() => { button.textContent = "Copy"; }, 2000);
    });
  }

  // Theme: that of the system until the button is used.
  const theme = $("theme");
  const dark = () => (document.documentElement.dataset.theme || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";
  const named = () => {
    theme.textContent = dark() ? "Light" : "Dark";
    theme.setAttribute("aria-pressed", String(Boolean(document.documentElement.dataset.theme)));
  };
  theme.hidden = false;
  theme.addEventListener("click", () => { document.documentElement.dataset.theme = dark() ? "light" : "dark"; named(); });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", named);
  named();

  // Details open for print, so that figures are on paper.
  addEventListener("beforeprint", () => { for (const one of document.querySelectorAll("details")) one.open = true; });

  const pairs = JSON.parse($("clip-data").textContent);
  const player = $("player");
  if (!player || !pairs.length) return;
  const buttons = [...document.querySelectorAll("button.pair")];
  const screens = $("screens"), play = $("play"), seek = $("seek"), time = $("time"), loop = $("loop"), speed = $("speed");
  let current = -1, videos = [], playing = false, clock = 0, last = 0, length = 0, step = 1 / 12;

  // Seconds from the first frame to the last: how long the last one stands after that differs between frame rates.
  const span = (clip) => (clip.frames - 1) / clip.fps;
  const place = (seconds) => {
    clock = Math.min(Math.max(0, seconds), length);
    seek.value = String(length ? Math.round(1000 * clock / length) : 0);
    time.textContent = `${clock.toFixed(2)} s`;
    seek.setAttribute("aria-valuetext", time.textContent);
  };
  const within = (video) => Math.min(clock, video.span) + 0.25 / video.fps;  // inside a frame, not on its edge
  const settle = () => { for (const video of videos) video.element.currentTime = within(video); };
  const pause = () => {
    playing = false;
    play.textContent = "Play";
    play.setAttribute("aria-pressed", "false");
    for (const video of videos) video.element.pause();
  };
  const start = () => {
    if (!videos.length) return;
    if (clock >= length - 1e-6) place(0);
    playing = true;
    play.textContent = "Pause";
    play.setAttribute("aria-pressed", "true");
    settle();
    begin();
    last = performance.now();
    requestAnimationFrame(tick);
  };
  const begin = () => {
    for (const video of videos) {
      video.element.playbackRate = Number(speed.value);
      const asked = video.element.play();
      if (asked) asked.catch(() => {});  // stopped again before it began
    }
  };
  const tick = (now) => {
    if (!playing) return;
    const shown = videos.filter((video) => !video.element.closest("[hidden]"));
    if (shown.every((video) => video.element.readyState >= 2 || video.broken)) {  // wait for the slowest
      place(clock + (Number(speed.value) * (now - last)) / 1000);
      for (const video of shown) {
        if (Math.abs(video.element.currentTime - within(video)) > 0.12 && clock < video.span) video.element.currentTime = within(video);
      }
    }
    last = now;
    if (clock >= length) {
      if (!loop.checked) { pause(); settle(); return; }
      place(0);
      settle();
      begin();
    }
    requestAnimationFrame(tick);
  };
  const by = (steps) => {
    pause();
    place((Math.round(clock / step) + steps) * step);
    settle();
  };
  const panel = (file, text) => {
    const figure = node("figure", "", "screen panel");
    const image = node("img");
    image.src = file;
    image.alt = text;
    figure.append(image, node("figcaption", text));
    return figure;
  };
  const screen = (clip) => {
    const figure = node("figure", "", clip.control ? "screen control" : "screen");
    const video = node("video");
    Object.assign(video, { src: clip.file, poster: clip.poster, muted: true, playsInline: true, preload: "auto", width: clip.width, height: clip.height });
    video.setAttribute("aria-label", clip.config);
    const record = { element: video, fps: clip.fps, span: span(clip), broken: false, control: clip.control };
    const caption = node("figcaption");
    caption.append(node("b", clip.config), clip.about ? ` ${clip.about}` : "", node("small", `${clip.control ? "control, " : ""}${clip.frames} frames, ${+clip.fps.toFixed(3)} fps`));
    video.addEventListener("error", () => { record.broken = true; caption.append(node("small", "this browser cannot play it")); });
    video.addEventListener("click", () => (playing ? pause() : start()));
    figure.append(video, caption);
    figure.hidden = clip.control && !$("show-controls").checked;
    videos.push(record);
    return figure;
  };
  const show = (number, focus) => {
    pause();
    current = (number + pairs.length) % pairs.length;
    const pair = pairs[current];
    buttons.forEach((button, index) => button.setAttribute("aria-pressed", String(index === current)));
    player.hidden = false;
    for (const video of videos) video.element.removeAttribute("src");
    videos = [];
    $("pair-name").textContent = pair.title ? `${pair.title} / ${pair.clip}` : pair.clip;
    $("pair-about").textContent = [pair.licence, ...pair.lost].filter(Boolean).join(" · ");
    const panels = pair.panels ? [panel(pair.panels[0], "first panel"), panel(pair.panels[1], "last panel")] : [];
    screens.replaceChildren(...panels, ...pair.clips.map(screen));
    length = Math.max(0, ...pair.clips.map(span));
    step = pair.clips.length ? Math.max(...pair.clips.map((clip) => 1 / clip.fps)) : 1 / 12;
    $("with-controls").hidden = !pair.clips.some((clip) => clip.control);
    place(0);
    if (focus) $("pair-name").focus({ preventScroll: false });
  };
  buttons.forEach((button, number) => button.addEventListener("click", () => show(number, false)));
  play.addEventListener("click", () => (playing ? pause() : start()));
  $("back").addEventListener("click", () => by(-1));
  $("forth").addEventListener("click", () => by(1));
  $("previous").addEventListener("click", () => show(current - 1, false));
  $("next").addEventListener("click", () => show(current + 1, false));
  seek.addEventListener("input", () => { pause(); place((Number(seek.value) / 1000) * length); settle(); });
  speed.addEventListener("change", () => { for (const video of videos) video.element.playbackRate = Number(speed.value); });
  $("show-controls").addEventListener("change", (event) => {
    for (const video of videos) if (video.control) video.element.closest("figure").hidden = !event.target.checked;
    if (playing) begin(); else settle();
  });
  addEventListener("keydown", (event) => {
    const tag = event.target.tagName;
    if (event.ctrlKey || event.metaKey || event.altKey || tag === "INPUT" || tag === "SELECT" || tag === "SUMMARY") return;
    const box = screens.getBoundingClientRect();
    if (box.bottom < 0 || box.top > innerHeight) return;  // keys are the player's while it is in sight
    if (event.key === " " && tag !== "BUTTON" && tag !== "A") { event.preventDefault(); playing ? pause() : start(); }
    else if (event.key === "ArrowLeft" && !event.target.closest(".scroll, .gallery, pre")) { event.preventDefault(); by(-1); }
    else if (event.key === "ArrowRight" && !event.target.closest(".scroll, .gallery, pre")) { event.preventDefault(); by(1); }
    else if (event.key === "n" || event.key === "N") show(current + 1, false);
    else if (event.key === "p" || event.key === "P") show(current - 1, false);
  });
  document.addEventListener("visibilitychange", () => { if (document.hidden) pause(); });
  show(0, false);
})();
