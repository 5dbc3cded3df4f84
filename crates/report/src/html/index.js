'use strict';
// Sorts and searches the records, and chooses the metric of a history. The page is whole without it.
(() => {
  const table = document.querySelector('table.records');
  const body = table.tBodies[0];
  const rows = [...body.rows];
  const order = new Intl.Collator('en', { numeric: true });

  // Text of a cell; of a date the whole instant.
  function key(row, column) {
    const cell = row.cells[column];
    const time = cell.querySelector('time');
    return time ? time.dateTime : cell.textContent.trim();
  }
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    const button = document.createElement('button');
    button.type = 'button';
    button.textContent = head.textContent;
    head.replaceChildren(button);
    button.addEventListener('click', () => sort(column, head.getAttribute('aria-sort') === 'ascending'));
  });
  function sort(column, down) {
    const sorted = down ? 'descending' : 'ascending';
    heads.forEach(head => head.removeAttribute('aria-sort'));
    heads[column].setAttribute('aria-sort', sorted);
    rows.sort((a, b) => (down ? -1 : 1) * order.compare(key(a, column), key(b, column)));
    body.append(...rows);
    list.value = column + ' ' + sorted;
  }
  // On a phone, where rows are stacked and the table has no head, a list does what the heads do.
  const list = document.getElementById('sort');
  list.add(new Option('–', ''));
  heads.forEach((head, column) => {
    for (const sorted of ['ascending', 'descending'])
      list.add(new Option(head.textContent + ', ' + sorted, column + ' ' + sorted));
  });
  list.addEventListener('change', () => {
    const [column, sorted] = list.value.split(' ');
    if (sorted) sort(column, sorted === 'descending');
  });

  const field = document.getElementById('search'), matches = document.getElementById('matches');
  field.parentElement.hidden = false;
  const texts = new Map(rows.map(row => [row, row.textContent.toLowerCase()]));
  function search() {
    const words = field.value.toLowerCase().split(/\s+/);
    for (const row of rows) row.hidden = !words.every(word => texts.get(row).includes(word));
    const shown = rows.filter(row => !row.hidden).length;
    matches.textContent = shown + ' of ' + rows.length + ' shown';
  }
  field.addEventListener('input', search);
  search();

  // One metric at a time, from a list.
  for (const history of document.querySelectorAll('.history')) {
    const metrics = [...history.querySelectorAll('details.metric')];
    if (metrics.length < 2) continue;
    const label = document.createElement('label'), list = document.createElement('select');
    metrics.forEach((metric, number) => list.add(new Option(metric.querySelector('summary').textContent, number)));
    label.append('Metric ', list);
    metrics[0].before(label);
    const choose = () => metrics.forEach((metric, number) => {
      metric.open = number === list.selectedIndex;
      metric.hidden = !metric.open;
      metric.querySelector('summary').hidden = true;
    });
    list.addEventListener('change', choose);
    choose();
  }
})();
