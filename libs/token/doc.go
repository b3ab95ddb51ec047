// Package token is itsdangerous in Go: text that carries data and proves who wrote it, byte-compatible with the
// Python library of that name (2.x; source of every rule: its modules signer, timed, serializer, url_safe, exc).
//
// From small to large:
//
//	Signer            value.signature
//	TimestampSigner   value.time.signature
//	Serializer        JSON.signature                       (NewSerializer)
//	Serializer        [.]base64url(JSON).signature         (NewURLSafeSerializer; the dot means zlib)
//	TimedSerializer   the same two with a time             (NewTimedSerializer, NewURLSafeTimedSerializer)
//	Layered           [.]base64url(JSON).signature.time.signature, each signature under a key list of its own
//
// Layered is the form in which an order travels to an executor; KeySet is the key file of one zone and makes the
// Layered of both ends. Everything else is here so that other programs' tokens can be read and written.
//
// What one side signs the other verifies, with these differences, all on the side of refusing:
//   - base64 has one spelling: no padding, no foreign characters, no spare bits (Python ignores them), so that a
//     token cannot be respelt into another token of the same meaning;
//   - a date in the future is refused whether or not an age is asked for (Python: only with max_age);
//   - inflated payloads have a limit, and nothing may follow the compressed stream;
//   - an empty key, and a separator with any byte of the base64 alphabet in it, are refused when a signer is made;
//   - NaN, Infinity and lone surrogates, which are not JSON that Go can hold, are a BadPayload.
//
// Compressed payloads are readable on both sides but not equal byte for byte, since two zlibs never are. Not offered:
// loads_unsafe, other serializers than JSON, and the JWS classes, which Python dropped too.
//
// The package does no IO, keeps no global state and logs nothing. All values are safe for concurrent use.
// No error text contains a key, a token or a payload.
package token
