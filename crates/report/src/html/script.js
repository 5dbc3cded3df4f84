'use strict';
// Values under the pointer, arms to show and hide, commands to copy, charts to save. The page is whole without it.
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

  // A chart as a file of its own: with the style of charts, on paper of its own.
  function drawing(svg) {
    const copy = svg.cloneNode(true), space = svg.namespaceURI;
    const part = (name, text) => {
      const element = document.createElementNS(space, name);
      element.textContent = text;
      return element;
    };
    const paper = part('rect', '');
    for (const [name, value] of [['class', 'paper'], ['width', '100%'], ['height', '100%']]) paper.setAttribute(name, value);
    copy.setAttribute('class', 'alone');
    copy.querySelector('desc').after(part('style', document.getElementById('charts').textContent), paper);
    copy.prepend(part('title', svg.getAttribute('aria-label')));
    copy.removeAttribute('aria-label');
    copy.querySelectorAll('.on').forEach(mark => mark.classList.remove('on'));
    return new XMLSerializer().serializeToString(copy);
  }

  // `54.6 µs [52.1 µs, 57.0 µs]`: a figure with its unit, and the ends of its interval where it has one.
  const UNITS = { ns: ['ns', 1], µs: ['ns', 1e3], ms: ['ns', 1e6], s: ['ns', 1e9], B: ['bytes', 1], KiB: ['bytes', 1024],
    MiB: ['bytes', 2 ** 20], GiB: ['bytes', 2 ** 30], k: ['', 1e3], M: ['', 1e6], '/s': ['per s', 1], 'k/s': ['per s', 1e3],
    'M/s': ['per s', 1e6], '%': ['%', 1], '': ['', 1] };
  const NUMBER = '([−+×]?[\\d.]+)\\s?(ns|µs|ms|s|B|KiB|MiB|GiB|k/s|M/s|/s|k|M|%|)';
  const FIGURE = new RegExp(`^${NUMBER}(?: \\[${NUMBER}, ${NUMBER}\\])?$`);
  function figure(text) {
    // Of thousands the separators are left out: `1,570`.
    const found = FIGURE.exec(text.replaceAll('\u00a0', ' ').replace(/^\d{1,3}(,\d{3})+$/, n => n.replaceAll(',', '')));
    if (!found) return null;
    const own = UNITS[found[2]][0];
    const value = at => {
      const unit = UNITS[found[at + 1] || found[2]];
      return Number((Number(found[at].replace('−', '-').replace(/[+×]/, '')) * unit[1]).toPrecision(12));
    };
    return { unit: own, values: found[3] === undefined ? [value(1)] : [value(1), value(3), value(5)] };
  }

  // The table below a chart; figures as numbers in one unit a column, or with their units beside them; intervals in
  // columns of their own.
  function figures(table) {
    const [head, ...rows] = [...table.rows].map(row => [...row.cells].map(cell => cell.textContent));
    const columns = head.map((name, at) => {
      const cells = rows.map(row => row[at] === '–' ? '' : row[at]);
      const found = cells.map(text => text === '' ? { values: [] } : figure(text));
      const units = new Set(found.filter(f => f && f.values.length).map(f => f.unit));
      if (at === 0 || !units.size || found.includes(null)) return [name, ...cells].map(cell => [cell]);
      const parts = found.some(f => f.values.length > 1) ? ['', ' low', ' high'] : [''];
      const title = name.replace(/ \[.*\]$/, ''), [unit] = units, mixed = units.size > 1;
      const heads = parts.map(part => title + part + (unit && !mixed ? ` (${unit})` : ''));
      const row = f => parts.map((_, i) => f.values[i] ?? '').concat(mixed ? f.unit ?? '' : []);
      return [mixed ? [...heads, title + ' unit'] : heads, ...found.map(row)];
    });
    const quoted = cell => /[",\r\n]/.test(cell) ? `"${String(cell).replaceAll('"', '""')}"` : cell;
    return head.length ? [head, ...rows].map((_, row) => columns.flatMap(c => c[row]).map(quoted).join(',')).join('\r\n') + '\r\n' : '';
  }

  function save(name, type, text) {
    const link = document.createElement('a');
    link.href = URL.createObjectURL(new Blob([text], { type }));
    link.download = name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  }
  for (const chart of document.querySelectorAll('figure')) {
    const svg = chart.querySelector('svg'), table = chart.querySelector('details.data table');
    const name = chart.id.replace('figure-', ''), group = document.createElement('div');
    group.className = 'save';
    const offer = (kind, press) => {
      const button = document.createElement('button');
      button.type = 'button';
      button.textContent = `Save as ${kind}`;
      button.setAttribute('aria-label', `Save as ${kind}: ${svg.getAttribute('aria-label')}`);
      button.addEventListener('click', press);
      group.append(button);
    };
    offer('SVG', () => save(name + '.svg', 'image/svg+xml', drawing(svg)));
    if (chart.dataset.csv || table) offer('CSV', () => save(name + '.csv', 'text/csv', chart.dataset.csv ?? figures(table)));
    chart.append(group);
  }
})();
