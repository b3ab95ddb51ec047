package wecom

// Message is an inbound message or event, decrypted. Which fields are set depends on MsgType and, for an event,
// on Event; a field that did not come is zero. Names follow the documentation (pages 90239, 90240; 100719 and
// 101027 for AI bots).
type Message struct {
	ToUserName   string // corp id
	FromUserName string // user id of the sender; "sys" for some events
	CreateTime   int64  // Unix seconds; 0 when absent, as with AI bots
	MsgType      string // text, image, voice, video, location, link, event; mixed, file, stream from AI bots
	AgentID      int64
	MsgID        string // absent from events

	Content string // text; voice from an AI bot, as a transcript

	PicURL, MediaID, Format, ThumbMediaID string // image, voice, video; media live for 3 days
	Title, Description, URL               string // link; URL also for media of AI bots

	Latitude, Longitude, Precision float64 // location, LOCATION, location_select; degrees and metres
	Scale                          int64
	Label, PoiName, AppType        string

	Event, EventKey string
	ChangeType      string // change_contact: create_user, …

	TaskID, CardType, ResponseCode string         // template_card_event, template_card_menu_event
	SelectedItems                  []SelectedItem // what was chosen on a card

	ScanType, ScanResult string   // scancode_push, scancode_waitmsg
	PicCount             int64    // pic_sysphoto, pic_photo_or_album, pic_weixin
	PicMD5Sums           []string // one per picture

	JobID, JobType string // batch_job_result
	ErrCode        int64
	ErrMsg         string

	UserID, NewUserID, Department string // change_contact, members; Department is a list joined by commas
	PartyID, Name, ParentID       string // change_contact, departments: Id, Name, ParentId, Order
	Order                         int64
	TagID                         string // change_contact, tags; the items are lists joined by commas
	AddUserItems, DelUserItems    string
	AddPartyItems, DelPartyItems  string

	EffectTime int64 // inactive_alert, low_active_alert; Unix seconds

	ThirdNo, OpenSpName, OpenTemplateID string // open_approval_change; its nodes are not read
	OpenSpStatus, ApplyTime             int64
	ApplyUserID                         string

	BotID, ChatID, ChatType, ResponseURL string // AI bots
	StreamID                             string
}

// SelectedItem is one question of a card and the options chosen for it.
type SelectedItem struct {
	QuestionKey string
	OptionIDs   []string
}

// ParseMessage reads a decrypted message, XML or JSON by its first byte, as strictly as ScanEnvelope reads an envelope:
// elements that it does not know are skipped within bounds, those that it knows may come once, and nothing may follow.
// In JSON it reads an application's message and an AI bot's. FromUserName and MsgType must be there.
// Errors: *Error, always fault.Invalid.
func ParseMessage(plain []byte) (Message, error) {
	form, err := formOf(plain)
	if err != nil {
		return Message{}, err
	}
	m := &Message{}
	if form == FormJSON {
		r := &jsonReader{jsonScanner: jsonScanner{b: plain}, s: string(plain), m: m}
		if err = r.object(); err == nil {
			err = r.read(messageBranch)
		}
		if err == nil {
			err = r.finish()
		}
	} else {
		r := &xmlReader{xmlScanner: xmlScanner{b: plain}, s: string(plain), m: m}
		var empty bool
		if empty, err = r.root(); err == nil && !empty {
			err = r.read(messageBranch, []byte(rootName))
		}
		if err == nil {
			err = r.finish()
		}
	}
	switch {
	case err != nil:
		return Message{}, err
	case m.FromUserName == "":
		return Message{}, refuse(CodeParse, ReasonMissing, "no FromUserName")
	case m.MsgType == "":
		return Message{}, refuse(CodeParse, ReasonMissing, "no MsgType")
	}
	return *m, nil
}

// xmlReader fills a message from XML.
type xmlReader struct {
	xmlScanner
	s string // the document again; the strings of the message are parts of it
	m *Message
}

// read reads the elements of b up to the end tag of parent. It goes no deeper than the tables do.
func (r *xmlReader) read(b *branch, parent []byte) error {
	var seen seenSet
	for {
		name, leafless, ok, err := r.child(parent)
		if err != nil || !ok {
			return err
		}
		i, known := b.xml[string(name)]
		switch {
		case known:
			n := &b.nodes[i]
			if !n.list && !seen.add(i) {
				return refuse(CodeParse, ReasonDuplicate, n.name)
			}
			err = r.element(n, name, leafless)
		case !leafless:
			err = r.skip(name)
		}
		if err != nil {
			return err
		}
	}
}

// element reads the content of n, whose start tag has been read.
func (r *xmlReader) element(n *node, name []byte, leafless bool) error {
	if n.text == nil && n.kids != nil {
		if n.open != nil {
			n.open(r.m)
		}
		if leafless {
			return nil
		}
		return r.read(n.kids, name)
	}
	if leafless {
		return n.set(r.m, "")
	}
	v, err := r.text(name)
	if err != nil {
		return err
	}
	return n.set(r.m, v.of(r.s))
}

// jsonReader fills a message from JSON.
type jsonReader struct {
	jsonScanner
	s string // the document again, as in xmlReader
	m *Message
}

// read reads the members of b up to the end of the object.
func (r *jsonReader) read(b *branch) error {
	var seen seenSet
	for first := true; ; first = false {
		key, ok, err := r.key(first)
		if err != nil || !ok {
			return err
		}
		i, known := b.jsonIndex(key)
		if !known {
			if err := r.skip(); err != nil {
				return err
			}
			continue
		}
		n := &b.nodes[i]
		if !seen.add(i) {
			return refuse(CodeParse, ReasonDuplicate, n.name)
		}
		if n.list && r.peek() == '[' {
			err = r.list(n)
		} else {
			err = r.member(n)
		}
		if err != nil {
			return err
		}
	}
}

// list reads the array that stands for an element that comes several times.
func (r *jsonReader) list(n *node) error {
	r.pos++ // the bracket, which the caller has seen
	for first := true; ; first = false {
		ok, err := r.more(first, ']')
		if err != nil || !ok {
			return err
		}
		if err := r.member(n); err != nil {
			return err
		}
	}
}

// member reads the value of n.
func (r *jsonReader) member(n *node) error {
	if n.kids == nil || n.text != nil && r.peek() != '{' {
		v, err := r.scalar()
		if err != nil {
			return err
		}
		return n.set(r.m, v.of(r.s))
	}
	if r.peek() == 'n' { // no object at all
		return r.literal("null")
	}
	if err := r.object(); err != nil {
		return err
	}
	if n.open != nil {
		n.open(r.m)
	}
	return r.read(n.kids)
}
