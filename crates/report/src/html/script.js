'use strict';
// Values under the pointer, arms to show and hide, commands to copy. The page is whole without it.
(() => {
  const tip = document.getElementById('tip');
  const REACH = 24;
  // A drawing's title would pop up over every value: it goes where only screen readers find it.
  for (const svg of document.querySelectorAll('svg')) {
    const title = svg.querySelector('title');
    if (title) { svg.setAttribute('aria-label', title.textContent); title.remove(); }
    svg.addEventListener('pointermove', event => show(svg, event));
    svg.addEventListener('pointerdown', event => show(svg, event));
    svg.addEventListener('pointerleave', hide);
  }
  document.addEventListener('scroll', hide, { passive: true });

  let lit = null;
  function hide() {
    tip.hidden = true;
    if (lit) { lit.classList.remove('on'); lit = null; }
  }
  function distance(box, x, y) {
    const dx = Math.max(box.left - x, 0, x - box.right);
    const dy = Math.max(box.top - y, 0, y - box.bottom);
    // Among marks that hold the pointer the one whose middle is nearest.
    const inner = Math.hypot((box.left + box.right) / 2 - x, (box.top + box.bottom) / 2 - y);
    return Math.hypot(dx, dy) + inner / 1e4;
  }
  // The arm that a mark belongs to, by its group's class.
  function owner(mark) {
    const group = mark.closest('g[class^="c-"]');
    const arm = group && [...group.classList].find(name => /^a\d+$/.test(name));
    const of = arm && mark.closest('article').id;
    const name = arm && document.querySelector(`.arms[data-of="${of}"] [data-arm="${arm}"]`);
    return name ? name.textContent + ': ' : '';
  }
  function show(svg, event) {
    let best = null, least = REACH;
    for (const mark of svg.querySelectorAll('[data-tip]')) {
      const box = mark.getBoundingClientRect();
      if (!box.width && !box.height && !box.left && !box.top) continue;
      const far = distance(box, event.clientX, event.clientY);
      if (far < least) { least = far; best = mark; }
    }
    hide();
    if (!best) return;
    lit = best;
    best.classList.add('on');
    tip.textContent = owner(best) + best.dataset.tip;
    tip.hidden = false;
    const width = tip.offsetWidth, room = document.documentElement.clientWidth;
    tip.style.left = Math.max(4, Math.min(event.clientX + 14, room - width - 4)) + 'px';
    tip.style.top = Math.max(4, event.clientY - tip.offsetHeight - 12) + 'px';
  }

  // A button an arm; charts take it out of the picture, tables stay whole.
  for (const group of document.querySelectorAll('.arms')) {
    group.hidden = false;
    const scope = document.getElementById(group.dataset.of);
    for (const button of group.querySelectorAll('button')) {
      button.addEventListener('click', () => {
        const on = button.getAttribute('aria-pressed') !== 'true';
        button.setAttribute('aria-pressed', String(on));
        for (const part of scope.querySelectorAll('svg .' + button.dataset.arm)) {
          part.style.display = on ? '' : 'none';
        }
        hide();
      });
    }
  }

  for (const button of document.querySelectorAll('[data-copy]')) {
    if (!navigator.clipboard) continue;
    button.hidden = false;
    button.addEventListener('click', async () => {
      const code = button.parentElement.querySelector('code');
      try { await navigator.clipboard.writeText(code.textContent); button.textContent = 'Copied'; }
      catch { getSelection().selectAllChildren(code); button.textContent = 'Selected'; }
      setTimeout(() => { button.textContent = 'Copy'; }, 1500);
    });
  }
})();
