// Signaling messages in Protocol Buffers, as its compiler would write them for pbf.
//
//   message Signal { Type type = 1; string sdp = 2; string candidate = 3; string sdp_mid = 4; uint32 sdp_m_line_index = 5;
//                    string username_fragment = 6; }
import { PbfReader, PbfWriter } from 'pbf';

const TYPES = ['candidate', 'offer', 'answer', 'pranswer', 'rollback'];

export function encodeSignal(signal) {
  const pbf = new PbfWriter();
  if ('sdp' in signal) {
    pbf.writeVarintField(1, TYPES.indexOf(signal.type));
    pbf.writeStringField(2, signal.sdp);
  } else {
    pbf.writeStringField(3, signal.candidate);
    pbf.writeStringField(4, signal.sdpMid);
    pbf.writeVarintField(5, signal.sdpMLineIndex);
    pbf.writeStringField(6, signal.usernameFragment);
  }
  return pbf.finish();
}

function readField(tag, signal, pbf) {
  if (tag === 1) signal.type = TYPES[pbf.readVarint()];
  else if (tag === 2) signal.sdp = pbf.readString();
  else if (tag === 3) signal.candidate = pbf.readString();
  else if (tag === 4) signal.sdpMid = pbf.readString();
  else if (tag === 5) signal.sdpMLineIndex = pbf.readVarint();
  else if (tag === 6) signal.usernameFragment = pbf.readString();
}

export function decodeSignal(bytes) {
  return new PbfReader(bytes).readFields(readField, {});
}
