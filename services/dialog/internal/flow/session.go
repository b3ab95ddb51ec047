package flow

import (
	"time"

	"palmops/libs/lang"
	"palmops/libs/wire"
	"palmops/services/dialog/menu"
	"palmops/services/dialog/node"
	"palmops/services/dialog/policy"
)

// Session is what is remembered between two messages of one person. The zero value is no session; with Rev "" only
// SentAt means something, and says how far the messages of this person have been worked on.
//
// It is kept in Redis for everybody who talks: names are short, and what follows from the menu is not stored.
type Session struct {
	Rev    string `json:"r"`           // of the menu that this session walks through
	Hops   []Hop  `json:"h,omitempty"` // the road
	Ahead  []Hop  `json:"a,omitempty"` // what was answered already beyond the place one went back to, or shall be prefilled
	Screen Shown  `json:"s"`
	Under  *Shown `json:"u,omitempty"` // the screen of the road while a room (search, tasks …) lies over it
	SentAt int64  `json:"t"`           // of the newest message worked on, Unix seconds
}

// Open reports whether there is a session.
func (s Session) Open() bool { return s.Rev != "" }

// Hop is one accepted input: the choice of a node, the value of a parameter, or a part of a custom step's way.
type Hop struct {
	Typed string `json:"t"`
	Node  string `json:"n,omitempty"`
	Param string `json:"p,omitempty"` // of a custom step without a parameter it is "-"
	Text  string `json:"v,omitempty"`
	Int   int64  `json:"i,omitempty"`
	IsInt bool   `json:"b,omitempty"`
	Label string `json:"l,omitempty"` // what a list called the value, where the menu does not know that itself
	Part  bool   `json:"c,omitempty"` // an input of a custom step that has not ended with it
}

// Shown is the screen that was last shown, as far as the next message can refer to it.
type Shown struct {
	Kind    string            `json:"k"`
	Items   []wire.Item       `json:"i,omitempty"` // the lines in their order; of a list of nodes only their ids
	Total   int               `json:"n,omitempty"` // lines there were before the list was cut to MaxList; 0 if it was not
	Page    int               `json:"p,omitempty"` // from 0
	Seen    int               `json:"e,omitempty"` // the last page that was shown
	Filter  string            `json:"f,omitempty"` // what was typed to narrow the list
	Picked  []string          `json:"m,omitempty"` // values chosen so far in a multi-select
	Tries   int               `json:"x,omitempty"` // wrong inputs in a row
	AsOf    int64             `json:"o,omitempty"` // when the list was made, Unix milliseconds; 0 when it is new
	Current map[string]string `json:"c,omitempty"` // a confirm's current values
	At      int64             `json:"a,omitempty"` // when a confirm was opened, Unix milliseconds
	Code    string            `json:"d,omitempty"` // what must be typed at a confirm by code
	Card    string            `json:"w,omitempty"` // task id of the card that shows this screen, "" for none
	View    *wire.View        `json:"v,omitempty"` // of a custom step, without its items
	Room    Room              `json:"q,omitzero"`  // of a screen of a room
}

// Room is where one stands in a built-in room: Name is RoomSearch …, Arg a query or an action id.
type Room struct {
	Name string `json:"n"`
	Arg  string `json:"a,omitempty"`
}

// MaxList is how many lines of a dynamic list are kept; a longer one says that it was cut and can be narrowed by typing.
const MaxList = 200

// Event is one message of a person, or the press of a button.
type Event struct {
	ID     string // of the inbound message; the order's id derives from it
	Type   string // WeCom's MsgType
	Text   string
	Event  string // WeCom's event, such as EventCard
	Key    string // EventCard: the choice that was pressed
	Card   string // EventCard: task id of the card
	SentAt int64  // WeCom's CreateTime, Unix seconds
	At     int64  // when the gateway got it, Unix milliseconds; 0 when that is not known
}

// EventCard is the event of a pressed button.
const EventCard = "template_card_event"

// Identity says how well a person is known right now.
type Identity int

// The degrees of knowing a person.
const (
	Nobody Identity = iota // the directory did not answer, and nothing recent is known
	Stale                  // known from some minutes ago: good enough to look, not to act
	Fresh
)

// Env is what Step knows of the world.
type Env struct {
	Person   wire.Person
	Identity Identity
	Rights   func(*menu.Menu) Rights // of this person, now
	Answers  map[string]Answer       // to questions of this step, by Question.Key
	Latest   *menu.Menu              // what a walk home starts with; nil for the session's own menu
	Memo     Memo                    // what is remembered of this person for longer than a session
	Nodes    map[string]node.Node    // nodes written in Go, by the name menus call them
	Now      int64                   // Unix milliseconds
	// Online says how many executors of a pool were seen just now; known is false when nobody could be asked. Nil: never.
	Online func(zone, pool string) (executors int, known bool)
}

// Rights are the decisions of a policy for one person, at one time, in one menu.
type Rights interface {
	// Sees reports whether a node is shown: something at it or below it may be allowed. Conditions are not looked at.
	Sees(n *menu.Node) bool
	// May is Decide for arguments that are not all known yet: a missing one is taken to become an allowed one.
	May(n *menu.Node, args map[string]any) policy.Decision
	// Decide says whether the node's deed is allowed with these arguments.
	Decide(n *menu.Node, args map[string]any) policy.Decision
	// FilterItems keeps the lines that may become the argument arg of the node's deed.
	FilterItems(n *menu.Node, arg string, items []wire.Item, args map[string]any) []wire.Item
	// Frozen are the freezes that hide something of this person's from the list n now.
	Frozen(n *menu.Node) []policy.Freeze
}

// Memo is what is remembered of a person across sessions. It is convenience: nothing rests on it.
type Memo struct {
	Lang       lang.Tag `json:"l,omitempty"` // "" for the menu's
	Cards      string   `json:"c,omitempty"` // CardsOn, CardsOff, "" for the menu's way
	Recent     []Recent `json:"r,omitempty"` // orders given, the newest first, at most MaxRecent
	Favourites []string `json:"f,omitempty"` // node ids, at most MaxFavourites, the newest last
}

// Values of Memo.Cards.
const (
	CardsOn  = "card"
	CardsOff = "text"
)

// Limits of a Memo.
const (
	MaxRecent     = 10
	MaxFavourites = 20
)

// Recent is one order that was given: enough to find its record, and to give it again.
type Recent struct {
	ID    string `json:"i"` // of the action
	Noop  bool   `json:"d,omitempty"`
	Node  string `json:"n"`
	Zone  string `json:"z"`
	Pool  string `json:"p"`
	Title string `json:"t"`
	Hops  []Hop  `json:"h"` // the values, in the order they were asked
	At    int64  `json:"a"` // Unix seconds
}

// Kinds of questions.
const (
	AskList      = "list"      // lines from an executor
	AskFields    = "fields"    // current values from an executor
	AskView      = "view"      // a remote node's state from an executor
	AskDirectory = "directory" // lines from the directory: Directory, In
	AskTasks     = "tasks"     // the records of Tasks
	AskOutput    = "output"    // the page Page of the output of the action Tasks[0]
)

// Question asks for something that a screen needs.
type Question struct {
	Key    string // the same for the same question
	What   string
	Node   string
	Zone   string
	Pool   string
	Action string
	Args   map[string]any

	Cache, Stale time.Duration // AskList, AskDirectory: see menu.Dynamic
	Directory    string
	In           int64
	Tasks        []string // action ids
	Page         int      // from 0
}

// Answer is what came back, or Fault, a sentence without its full stop that a person may read.
type Answer struct {
	Items  []wire.Item
	Fields map[string]string
	View   *wire.View
	Tasks  []Task // in the order of Question.Tasks; one without a record has the state queued
	Output OutputPage
	AsOf   int64 // when it was true, Unix milliseconds; 0 for just now
	Fault  string
}

// OutputPage is one page of what an action put out: as many whole lines as a message shows well.
type OutputPage struct {
	Lines []string // as they were put out
	Page  int      // from 0: the one that was asked for, or the last
	Pages int      // 0 when there is nothing to see
	Cut   bool     // there is more than has pages
}

// Task is an action as its record tells.
type Task struct {
	ID      string
	Title   string
	State   string // wire.StateQueued …
	Step    string // the last progress line
	Summary string
	Output  int   // bytes that AskOutput will give, 0 for none
	At      int64 // of its newest change, Unix milliseconds; 0 when not known
	Expires int64 // Unix seconds
}

// Intent is a confirmed order, or one that changes nothing: Report or Noop.
type Intent struct {
	ID     string // of the action
	Node   string
	Zone   string
	Pool   string
	Action string
	Args   map[string]any
	Title  string
	Lang   lang.Tag
	Expire int64 // seconds after the confirm
	Report bool
	Noop   bool
}

// Result is what a step leads to. With Need set everything else is empty: answer the question and step again.
type Result struct {
	Session Session // not Open: there is no session from now on
	Screens []wire.Screen
	Intent  *Intent
	Need    *Question
	Memo    *Memo    // set when it changed
	Lang    lang.Tag // in which the screens are written
	Pressed string   // what shall stand on the pressed card from now on, "" when nothing was pressed or the press was not understood

	Did    string // what the message was taken for: a stable word for audit and metrics
	Reason string // why it had no effect, "" when it had; stable as well
}
