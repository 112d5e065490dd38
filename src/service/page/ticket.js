// What a ticket (userSig) says about itself. It is read for the login form only; the server checks it.

const LONGEST_TEXT = 4096;

/** `{userID, sdkAppID, expires}` (expires in unix seconds), or null when the text is no ticket. */
export async function readTicket(userSig) {
  try {
    const fields = JSON.parse(await inflate(decode(userSig.trim())));
    const second = fields['TLS.ver'] === '2.0';
    const sdkAppID = Number(second ? fields['TLS.sdkappid'] : fields['TLS.sdk_appid']);
    const expires = Number(fields['TLS.time']) + Number(second ? fields['TLS.expire'] : fields['TLS.expire_after']);
    const userID = fields['TLS.identifier'];
    if (typeof userID !== 'string' || !Number.isFinite(sdkAppID) || !Number.isFinite(expires)) return null;
    return { userID, sdkAppID, expires };
  } catch {
    return null;
  }
}

// Base64 in which `+ / =` are written `* - _`; a form may have turned the first into a space.
function decode(userSig) {
  const letters = { '*': '+', ' ': '+', '-': '/', _: '=' };
  return Uint8Array.from(atob(userSig.replace(/[* \-_]/g, (letter) => letters[letter])), (letter) => letter.charCodeAt(0));
}

async function inflate(bytes) {
  const reader = new Blob([bytes]).stream().pipeThrough(new DecompressionStream('deflate')).getReader();
  const decoder = new TextDecoder();
  let text = '';
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return text + decoder.decode();
    text += decoder.decode(value, { stream: true });
    if (text.length > LONGEST_TEXT) {
      await reader.cancel();
      throw new RangeError('too long for a ticket');
    }
  }
}
