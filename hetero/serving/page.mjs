// Sends a photo to the service and shows what it finds.

const form = document.querySelector('form');
const status = document.querySelector('[role=status]');
const list = document.querySelector('ol');

function headers(fields) {
  const token = fields.get('token');
  return token ? {authorization: `Bearer ${token}`} : {};
}

async function search(fields) {
  const photo = fields.get('photo');
  const query = new URLSearchParams({k: fields.get('k'), tenant: fields.get('tenant')});
  const answer = await fetch(`search?${query}`, {
    method: 'POST', body: photo, headers: {...headers(fields), 'content-type': photo.type || 'image/*'},
  });
  const found = await answer.json();
  if (!answer.ok) throw new Error(found.error);
  return found;
}

async function picture(id, fields) {
  const answer = await fetch(`photo?${new URLSearchParams({id})}`, {headers: headers(fields)});
  if (!answer.ok) return null;
  const image = new Image();
  image.src = URL.createObjectURL(await answer.blob());
  image.alt = '';
  await image.decode().catch(() => {});
  URL.revokeObjectURL(image.src);
  return image;
}

async function hit(id, score, fields) {
  const item = document.createElement('li');
  item.append(`${id} ${score.toFixed(3)}`);
  const image = form.dataset.photos ? await picture(id, fields) : null;
  if (image) item.prepend(image);
  return item;
}

form?.addEventListener('submit', async (event) => {
  event.preventDefault();
  const fields = new FormData(form);
  list.replaceChildren();
  status.textContent = 'searching';
  try {
    const {ids: [ids], scores: [scores]} = await search(fields);
    list.replaceChildren(...await Promise.all(ids.map((id, place) => hit(id, scores[place], fields))));
    status.textContent = ids.length ? `${ids.length} items` : 'nothing found';
  } catch (error) {
    status.textContent = error.message;
  }
});
