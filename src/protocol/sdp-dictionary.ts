// Preset deflate dictionary 1: what SDPs and ICE candidates have in common. Permanent: changed bytes need a new id.

const line = (text: string): string => text.split('\n').join('\r\n');

// zlib finds what stands last at the least cost: from the rare to the frequent. Collected from Chromium and Firefox,
// each line once; what repeats within one SDP (fmtp, rtcp-fb) deflate finds by itself.
const TEXT =
  line(`o=mozilla...THIS_IS_SDPARTA-99.0 0 IN IP4 0.0.0.0
a=max-message-size:1073741823
a=end-of-candidates
a=recvonly
a=sendonly
a=inactive
a=rtpmap:120 ulpfec/90000
a=rtpmap:118 red/90000
a=fmtp:98 profile-id=0
a=rtpmap:98 VP9/90000
a=fmtp:45 level-idx=5;profile=0;tier=0
a=rtpmap:45 AV1/90000
4d001f
42001f
a=fmtp:108 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f
a=rtpmap:102 H264/90000
a=rtpmap:97 rtx/90000
a=fmtp:97 apt=96
a=rtpmap:96 VP8/90000
a=rtcp-fb:96 goog-remb
a=rtcp-fb:96 transport-cc
a=rtcp-fb:96 ccm fir
a=rtcp-fb:96 nack
a=rtcp-fb:96 nack pli
a=extmap:14 toffset
a=extmap:13 urn:3gpp:video-orientation
a=extmap:5 playout-delay
a=extmap:6 video-content-type
a=extmap:7 video-timing
a=extmap:8 color-space
a=extmap:10 rtp-stream-id
a=extmap:11 repaired-
m=video 9 UDP/TLS/RTP/SAVPF 96 97 102 103 104 107 108 109 114 115 116 117 39 40 45 46 98 99 100 101 118 119 120
a=rtpmap:63 red/48000/2
a=fmtp:63 111/111
a=rtpmap:9 G722/8000
a=rtpmap:0 PCMU/8000
a=rtpmap:8 PCMA/8000
a=rtpmap:13 CN/8000
a=rtpmap:110 telephone-event/48000
a=rtpmap:126 telephone-event/8000
a=ssrc-group:FID a=ssrc: msid:- a=ssrc: cname:
a=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level
a=extmap:2 http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time
a=extmap:3 http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01
a=extmap:4 urn:ietf:params:rtp-hdrext:sdes:mid
a=sendrecv
a=msid:- a=rtcp-mux
a=rtcp-rsize
a=rtcp-xr:rcvr-rtt=all
a=rtpmap:111 opus/48000/2
a=rtcp-fb:111 transport-cc
a=fmtp:111 minptime=10;useinbandfec=1
a=group:BUNDLE 0 1 2
m=audio 9 UDP/TLS/RTP/SAVPF 111 63 9 0 8 13 110 126
a=rtcp:9 `) +
  // Candidates, as JSON and MessagePack have them; 2113937151 and the like are priorities that browsers give out.
  '{"candidate":"candidate: 1 tcp 1518280447 typ relay raddr 0.0.0.0 rport 0 generation 0 ufrag ' +
  ' typ srflx raddr 192.168. 1677729535 41885439 10.0.0. typ host tcptype active 9 ' +
  ' network-id 1 network-cost 999","sdpMid":"0","sdpMLineIndex":0,"usernameFragment":"' +
  '\x84\xa9candidate\xd9\x90candidate: 1 udp 2113942271 1 udp 2122260223 1 udp 2113937151 ' +
  '.local 5 typ host generation 0 ufrag  network-cost 999\xa6sdpMid\xa10\xadsdpMLineIndex\x00\xb0usernameFragment\xa4' +
  '{"type":"answer","sdp":"{"type":"offer","sdp":"v=0\\r\\no=- ' +
  '\x82\xa4type\xa6answer\xa3sdp\xda\x13\x82\xa4type\xa5offer\xa3sdp\xda\x01' +
  line(`v=0
o=-  2 IN IP4 127.0.0.1
s=-
t=0 0
a=group:BUNDLE 0
a=extmap-allow-mixed
a=msid-semantic: WMS
m=application 9 UDP/DTLS/SCTP webrtc-datachannel
c=IN IP4 0.0.0.0
a=ice-ufrag: a=setup:active
a=mid:1
a=ice-pwd: a=ice-options:trickle
a=fingerprint:sha-256 :FA:8:B:C:D:E:9:A
a=setup:actpass
a=mid:0
a=sctp-port:5000
a=max-message-size:262144
`);

export const SDP_DICTIONARY: Uint8Array = Uint8Array.from(TEXT, (character) => character.charCodeAt(0));
