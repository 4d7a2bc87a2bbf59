// The tiles of call-page.js: one for everybody in the call, with what its page says of itself, and the place that each has.
const tiles = new Map();
/** What the members say of themselves, perhaps before they have a tile. */
const abouts = new Map();
const place = document.getElementById('tiles');

export function tileOf(member) {
  let tile = tiles.get(member);
  if (tile !== undefined) return tile;
  tile = document.getElementById('tile').content.cloneNode(true).firstElementChild;
  tile.dataset.member = member;
  tile.style.setProperty('--hue', parseInt(member.slice(-4), 16) % 360 || 0);
  const video = tile.querySelector('video');
  const enlarge = () => {
    if (document.fullscreenElement !== null) void document.exitFullscreen();
    // On an iPhone only the video itself can fill the screen.
    else if (tile.requestFullscreen) void tile.requestFullscreen();
    else video.webkitEnterFullscreen?.();
  };
  tile.addEventListener('dblclick', enlarge);
  tile.querySelector('button').addEventListener('click', enlarge);
  tiles.set(member, tile);
  place.append(tile);
  draw(member);
  return tile;
}

export function dropTile(member) {
  tiles.get(member)?.remove();
  tiles.delete(member);
  arrange();
}

export function clearTiles() {
  tiles.clear();
  abouts.clear();
  place.replaceChildren();
}

/** What a page says of itself: taken for what it is, whatever another one has sent. */
export function describe(member, said) {
  abouts.set(member, said);
  if (tiles.has(member)) draw(member);
}

export function nameOf(member) {
  const name = abouts.get(member)?.name;
  return typeof name === 'string' ? name.slice(0, 40) : '';
}

function draw(member) {
  const { muted, dark, shares } = abouts.get(member) ?? { dark: true };
  const tile = tiles.get(member);
  const name = nameOf(member);
  tile.querySelector('b').textContent = tile.matches('.own') ? `${name} (you)` : name;
  tile.querySelector('.face span').textContent = [...name][0]?.toUpperCase() ?? '…';
  for (const [state, is] of Object.entries({ muted, dark, shares }))
    tile.classList.toggle(state, is === true);
  arrange();
}

/** A shared screen gets most of the place; else as many columns as make the tiles largest. */
function arrange() {
  const shared = [...tiles.values()].find((tile) => tile.matches('.shares:not(.own)'));
  for (const tile of tiles.values()) tile.classList.toggle('large', tile === shared);
  place.classList.toggle('stage', shared !== undefined);
  const { clientWidth, clientHeight } = place;
  const rows = (columns) => Math.ceil(tiles.size / columns);
  const size = (columns) => Math.min(clientWidth / columns / 16, clientHeight / rows(columns) / 11);
  let best = 1;
  for (let columns = 2; columns <= tiles.size; columns++) if (size(columns) > size(best)) best = columns;
  place.style.setProperty('--columns', best);
  place.style.setProperty('--rows', rows(best));
  place.style.setProperty('--others', tiles.size - 1);
}
addEventListener('resize', arrange);
