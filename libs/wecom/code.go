package wecom

import (
	"strconv"

	"palmops/libs/fault"
)

// Code is a return code of WeCom's own crypto library (加解密库返回码, page 90307).
type Code int

// The codes. Zero is success.
const (
	CodeSignature    Code = -40001 // the signature does not match
	CodeParse        Code = -40002 // the XML or JSON cannot be read
	CodeSHA1         Code = -40003 // the signature cannot be computed
	CodeAESKey       Code = -40004 // the EncodingAESKey is not one
	CodeReceiveID    Code = -40005 // encrypted for another receiver
	CodeEncrypt      Code = -40006 // AES encryption failed
	CodeDecrypt      Code = -40007 // AES decryption failed
	CodeBuffer       Code = -40008 // what came out of the decryption is not a frame
	CodeBase64Encode Code = -40009 // base64 encoding failed
	CodeBase64Decode Code = -40010 // base64 decoding failed
	CodeBuild        Code = -40011 // the XML or JSON cannot be written
)

// String is the code's meaning, in the words of the official table.
func (c Code) String() string {
	switch c {
	case 0:
		return "成功"
	case CodeSignature:
		return "签名验证错误"
	case CodeParse:
		return "xml/json解析失败"
	case CodeSHA1:
		return "sha加密生成签名失败"
	case CodeAESKey:
		return "AESKey非法"
	case CodeReceiveID:
		return "ReceiveId校验错误"
	case CodeEncrypt:
		return "AES加密失败"
	case CodeDecrypt:
		return "AES解密失败"
	case CodeBuffer:
		return "解密后得到的buffer非法"
	case CodeBase64Encode:
		return "base64加密失败"
	case CodeBase64Decode:
		return "base64解密失败"
	case CodeBuild:
		return "生成xml/json失败"
	}
	return "code " + strconv.Itoa(int(c))
}

// The words an Error's Reason can be. They label metrics, so they are few and never change their meaning.
const (
	ReasonSignature = "signature"         // the signature does not match
	ReasonReceiveID = "receiveid"         // the frame names another receiver
	ReasonQuery     = "query"             // the query parameters have not the documented shape
	ReasonOversized = "oversized"         // above MaxBody, or above another cap of this package
	ReasonMalformed = "malformed"         // not the XML or JSON that this package reads
	ReasonTruncated = "truncated"         // the XML or JSON ends too early
	ReasonDuplicate = "duplicate_element" // an element or key that may come once came again
	ReasonTrailing  = "trailing_data"     // something follows the document
	ReasonMissing   = "missing_element"   // a required element or key is absent or empty
	ReasonValue     = "value"             // a number is none, or is out of range
	ReasonBase64    = "base64"            // not canonical standard base64
	ReasonBlockSize = "block_size"        // the ciphertext is empty or not a multiple of 32 bytes
	ReasonPadding   = "padding"           // not PKCS#7 to 32 bytes
	ReasonLength    = "length"            // the frame's length field does not fit the frame
	ReasonAESKey    = "aes_key"           // the EncodingAESKey is not 43 characters of base64
	ReasonSettings  = "settings"          // token or receiver id cannot be used
	ReasonBuild     = "build"             // a value cannot be written into an envelope
)

// Error is a refusal by this package's callback side. It never holds message text or secrets.
type Error struct {
	Code   Code
	Reason string // one of the Reason words
	Err    error  // what exactly, may be nil
}

func (e *Error) Error() string {
	s := "wecom: " + e.Reason + " (" + strconv.Itoa(int(e.Code)) + ")"
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

func (e *Error) Unwrap() error { return e.Err }

// FaultKind is fault.Denied for a wrong signature and a foreign receiver, and fault.Invalid otherwise.
func (e *Error) FaultKind() fault.Kind {
	switch e.Reason {
	case ReasonSignature, ReasonReceiveID:
		return fault.Denied
	}
	return fault.Invalid
}

// constError is an error whose text is fixed, so that a refusal can be compared and costs nothing to make.
type constError string

func (e constError) Error() string { return string(e) }

func refuse(code Code, reason, detail string) error {
	return &Error{Code: code, Reason: reason, Err: constError(detail)}
}
