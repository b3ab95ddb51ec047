package practice

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
)

func lower(s string) string { return strings.ToLower(s) }

// query is the part of metav1.ListOptions that is understood, read and checked.
type query struct {
	watch     bool
	bookmarks bool
	initial   *bool // sendInitialEvents
	timeout   time.Duration
	version   string // resourceVersion as it came: "" is the newest, "0" any
	number    uint64 // its value
	match     metav1.ResourceVersionMatch
	limit     int
	next      *continued
	label     labels.Selector
	field     fields.Selector
}

// continued is what a continue token holds.
type continued struct {
	Version uint64 `json:"rv"`
	After   string `json:"after"` // namespace and name of the last object of the page before
}

func (n continued) token() (string, error) {
	data, err := json.Marshal(n)
	return base64.RawURLEncoding.EncodeToString(data), err
}

func parseQuery(v url.Values) (query, error) {
	q := query{version: v.Get("resourceVersion"), match: metav1.ResourceVersionMatch(v.Get("resourceVersionMatch"))}
	var bad []string
	number := func(name string, bits int) uint64 {
		text := v.Get(name)
		if text == "" {
			return 0
		}
		n, err := strconv.ParseUint(text, 10, bits)
		if err != nil {
			bad = append(bad, name)
		}
		return n
	}
	flag := func(name string) bool {
		switch v.Get(name) {
		case "", "0", "false":
			return false
		case "1", "true":
			return true
		}
		bad = append(bad, name)
		return false
	}
	q.watch, q.bookmarks = flag("watch"), flag("allowWatchBookmarks")
	if v.Has("sendInitialEvents") {
		on := flag("sendInitialEvents")
		q.initial = &on
	}
	q.timeout = time.Duration(number("timeoutSeconds", 31)) * time.Second
	q.number = number("resourceVersion", 64)
	q.limit = int(number("limit", 31))
	var err error
	if q.label, err = labels.Parse(v.Get("labelSelector")); err != nil {
		bad = append(bad, "labelSelector")
	}
	if q.field, err = fields.ParseSelector(v.Get("fieldSelector")); err != nil {
		bad = append(bad, "fieldSelector")
	} else {
		for _, r := range q.field.Requirements() {
			if _, known := fieldsOf(&corev1.Event{})[r.Field]; !known && r.Field != nodeField {
				bad = append(bad, "fieldSelector "+r.Field)
			}
		}
	}
	if text := v.Get("continue"); text != "" {
		data, err := base64.RawURLEncoding.DecodeString(text)
		if err != nil || json.Unmarshal(data, &q.next) != nil || q.next == nil {
			bad = append(bad, "continue")
		}
	}
	switch q.match {
	case "", metav1.ResourceVersionMatchExact, metav1.ResourceVersionMatchNotOlderThan:
	default:
		bad = append(bad, "resourceVersionMatch")
	}
	if q.initial != nil && (!q.watch || q.match != metav1.ResourceVersionMatchNotOlderThan) {
		bad = append(bad, "sendInitialEvents (it needs watch and resourceVersionMatch=NotOlderThan)")
	}
	if len(bad) > 0 {
		return query{}, apierrors.NewBadRequest("invalid parameters: " + strings.Join(bad, ", "))
	}
	return q, nil
}

// matches says whether an object is selected.
func (q query) matches(o object) bool {
	return q.label.Matches(labels.Set(o.GetLabels())) && q.field.Matches(fieldsOf(o))
}

const nodeField = "spec.nodeName"

// fieldsOf are the fields of an object that can be selected by.
func fieldsOf(o object) fields.Set {
	s := fields.Set{"metadata.name": o.GetName(), "metadata.namespace": o.GetNamespace()}
	switch x := o.(type) {
	case *corev1.Pod:
		s[nodeField] = x.Spec.NodeName
	case *corev1.Event:
		s["involvedObject.kind"], s["involvedObject.name"] = x.InvolvedObject.Kind, x.InvolvedObject.Name
		s["involvedObject.namespace"], s["involvedObject.uid"] = x.InvolvedObject.Namespace, string(x.InvolvedObject.UID)
		s["type"], s["reason"] = x.Type, x.Reason
	}
	return s
}

func tooLarge(want, have uint64) error {
	err := apierrors.NewTimeoutError(fmt.Sprintf("Too large resource version: %d, current: %d", want, have), 1)
	err.ErrStatus.Details.Causes = []metav1.StatusCause{{Type: metav1.CauseTypeResourceVersionTooLarge, Message: "Too large resource version"}}
	return err
}

func tooOld(version, oldest uint64) error {
	return apierrors.NewResourceExpired(fmt.Sprintf("too old resource version: %d (%d)", version, oldest))
}

// collection answers a list, or a watch.
func (c *Cluster) collection(r resource) http.HandlerFunc {
	list := c.answer(func(req *http.Request) (any, error) {
		q, err := parseQuery(req.URL.Query())
		if err != nil {
			return nil, err
		}
		return c.list(r, req.PathValue("namespace"), q)
	})
	return func(w http.ResponseWriter, req *http.Request) {
		q, err := parseQuery(req.URL.Query())
		switch {
		case err != nil:
			c.refuse(w, err)
		case q.watch:
			c.watch(w, req, r, q)
		default:
			list(w, req)
		}
	}
}

// list answers one page. Later pages show the objects as they are by then and not as they were at the first page, which a real
// cluster does as long as it can; a token that is older than the history is refused with 410 as there.
func (c *Cluster) list(r resource, namespace string, q query) (any, error) {
	v := c.store.list(r.name, namespace)
	switch {
	case q.number > v.version:
		return nil, tooLarge(q.number, v.version)
	case q.match == metav1.ResourceVersionMatchExact && q.number != v.version:
		return nil, tooOld(q.number, v.version) // only the newest state is kept
	case q.next != nil && q.version != "" && q.version != "0":
		return nil, apierrors.NewBadRequest("specifying resource version is not allowed when using continue")
	case q.next != nil && q.next.Version < v.oldest:
		return nil, apierrors.NewResourceExpired("The provided continue parameter is too old to display a consistent list result.")
	}
	meta := metav1.ListMeta{ResourceVersion: strconv.FormatUint(v.version, 10)}
	after, version := "", v.version
	if q.next != nil {
		after, version = q.next.After, q.next.Version
		meta.ResourceVersion = strconv.FormatUint(version, 10)
	}
	var page []object
	left := int64(0)
	for _, o := range v.objects {
		switch {
		case keyOf(o).String() <= after || !q.matches(o):
		case q.limit > 0 && len(page) == q.limit:
			left++
		default:
			page = append(page, o)
		}
	}
	if left > 0 {
		token, err := continued{Version: version, After: keyOf(page[len(page)-1]).String()}.token()
		if err != nil {
			return nil, err
		}
		meta.Continue = token
		if q.label.Empty() && q.field.Empty() {
			meta.RemainingItemCount = &left
		}
	}
	return r.list(meta, page), nil
}
