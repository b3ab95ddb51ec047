// Package fault is the closed set of ways in which something can go wrong in palmops.
//
// A kind decides three things and nothing else does: what becomes of a queue message (see libs/bus),
// which sentence a user may read (Safe), and whether a caller may try again. Details stay in the wrapped
// error and reach only the log. Kinds travel on the wire by name, so names are never reused.
package fault

import (
	"errors"
	"fmt"
)

// Kind says what sort of failure an error is.
type Kind string

// The kinds. Any error that carries none is Internal.
const (
	Invalid   Kind = "invalid"   // the input is wrong and will stay wrong
	Denied    Kind = "denied"    // not allowed: signature, address, rights
	Expired   Kind = "expired"   // it came too late, or too early
	NotFound  Kind = "not_found" // the thing named does not exist
	Conflict  Kind = "conflict"  // the state moved since it was read
	Transient Kind = "transient" // nothing was done; a later try may work
	Unknown   Kind = "unknown"   // it may or may not have been done
	Internal  Kind = "internal"  // a defect, or a failure nobody classified
)

// Kinds lists every kind, for tests and metrics.
func Kinds() []Kind {
	return []Kind{Invalid, Denied, Expired, NotFound, Conflict, Transient, Unknown, Internal}
}

// Error is an error with a kind. Text, when set, is safe to show to a user.
type Error struct {
	Kind Kind
	Text string
	Err  error
}

func (e *Error) Error() string {
	if e.Err == nil {
		return string(e.Kind)
	}
	return e.Err.Error()
}

func (e *Error) Unwrap() error { return e.Err }

// FaultKind reports the kind; other packages' typed errors may offer the same method.
func (e *Error) FaultKind() Kind { return e.Kind }

// New makes an error of a kind from a format as fmt.Errorf understands it, %w included.
func New(kind Kind, format string, args ...any) error {
	return &Error{Kind: kind, Err: fmt.Errorf(format, args...)}
}

// Wrap gives err a kind and a context. It returns nil for a nil err.
func Wrap(kind Kind, err error, context string) error {
	if err == nil {
		return nil
	}
	return &Error{Kind: kind, Err: fmt.Errorf("%s: %w", context, err)}
}

// WithText adds a sentence that a user may read. The kind stays what it was. It returns nil for a nil err.
func WithText(err error, text string) error {
	if err == nil {
		return nil
	}
	return &Error{Kind: KindOf(err), Text: text, Err: err}
}

// KindOf finds the outermost kind in err's chain: any error with a FaultKind method counts.
// An error without one is Internal; nil has the empty kind.
func KindOf(err error) Kind {
	if err == nil {
		return ""
	}
	var k interface{ FaultKind() Kind }
	if errors.As(err, &k) {
		return k.FaultKind()
	}
	return Internal
}

// Is reports whether err is of the given kind.
func Is(err error, kind Kind) bool { return err != nil && KindOf(err) == kind }

// Safe is the sentence a user may read about err: the text set by WithText if there is one, else the kind's own.
// It never contains err's details. Each sentence says what happened, what was not done, and what to do next.
func Safe(err error) string {
	if err == nil {
		return ""
	}
	var e *Error
	for walk := err; errors.As(walk, &e); walk = e.Err {
		if e.Text != "" {
			return e.Text
		}
	}
	return KindText(KindOf(err))
}

// KindText is the sentence for a kind, in simplified Chinese.
func KindText(kind Kind) string {
	switch kind {
	case Invalid:
		return "输入不符合要求，没有执行任何操作。请按提示重新输入。"
	case Denied:
		return "没有权限，没有执行任何操作。需要权限请联系管理员。"
	case Expired:
		return "已过有效期，没有执行任何操作。请重新发起。"
	case NotFound:
		return "目标不存在，没有执行任何操作。请返回上一级重新选择。"
	case Conflict:
		return "目标状态已发生变化，没有执行任何操作。请重新查看后再操作。"
	case Transient:
		return "系统暂时不可用，没有执行任何操作。请稍后重试。"
	case Unknown:
		return "结果未知：操作可能已生效，也可能没有。请先核对目标状态，不要直接重试。"
	default:
		return "系统内部错误，没有得到结果。请核对目标状态后联系管理员。"
	}
}
