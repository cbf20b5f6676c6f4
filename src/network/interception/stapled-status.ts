import { elementsOf, tags } from "../../certificates/der.ts";

/** RFC 6960, 4.2.1: `revoked` of CertStatus. */
const revoked = 0xa1;

/**
 * Whether a server itself says that its certificate was revoked, by the answer of OCSP that it brings along (RFC 6066, 8; RFC 6960, 4.2.1).
 * Nobody's signature is checked: who could say that wrongly is the server, and it would be believed less and not more.
 *
 * @param response DER
 * @param serialNumber of the certificate, hexadecimal
 */
export function saysRevoked(response: Buffer, serialNumber: string): boolean {
  try {
    // OCSPResponse, its responseBytes and the octets in them; BasicOCSPResponse and its tbsResponseData.
    const bytes = childOf(childOf(childOf(response, 0), 1), 0);
    const data = childOf(childOf(childOf(bytes, 1), 0), 0);
    const responses = elementsOf(data).find(({ tag }) => tag === tags.sequence);
    return elementsOf(responses?.content ?? Buffer.alloc(0)).some((single) => {
      const [id, status] = elementsOf(single.content);
      const serial = elementsOf(id?.content ?? Buffer.alloc(0))[3]?.content;
      return status?.tag === revoked && serial !== undefined && isSame(serial, serialNumber);
    });
  } catch {
    // What cannot be read says nothing.
    return false;
  }
}

/** What is in the element at an index. */
function childOf(content: Buffer, index: number): Buffer {
  return elementsOf(content)[index]?.content ?? Buffer.alloc(0);
}

function isSame(serial: Buffer, hexadecimal: string): boolean {
  return BigInt(`0x${serial.toString("hex")}`) === BigInt(`0x${hexadecimal}`);
}
