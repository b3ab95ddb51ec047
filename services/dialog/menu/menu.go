// Package menu is the tree of functions that a person walks through on the phone, and how it is written in YAML.
//
// A node asks (steps), then offers (items), or acts. What a step asks becomes a parameter that all later steps and all
// nodes below know. Nothing that changes anything runs without a confirm directly before it.
//
// A menu is one file or several: ReadFiles gathers a root file and what it includes, Build makes a Menu of them, strictly:
// every mistake is reported at once, with file and line. A built menu never changes.
package menu

import (
	"slices"
	"time"

	"palmops/libs/lang"
)

// Limits of a menu: what a phone shows well, and what keeps a mistake from becoming a burden.
const (
	MaxLabel  = 60      // characters of a title, and
	MaxBytes  = 120     // its bytes
	MaxDepth  = 10      // nodes on the way from the root to the deepest one
	MaxItems  = 200     // nodes in one list, entries of one table or enum
	MaxPage   = 20      // lines on one page
	MaxPrompt = 200     // characters of a prompt, an example or a hint
	MaxText   = 200     // characters of a typed text, unless the input says less
	MaxLines  = 50      // lines of a multi-line text
	MaxNodes  = 20000   // in the whole menu
	MaxFiles  = 200     // in the whole menu
	MaxTotal  = 8 << 20 // bytes of all files; one may have conf.MaxFile
	MaxPicked = 50      // lines chosen in one multi-select
)

// Menu is a whole menu. Rev names its content: the first 12 hex digits of a SHA-256 over the names and bytes of its files.
type Menu struct {
	File     string // the root file, as it was named to Build
	Rev      string
	Title    lang.Words
	First    int           // number of the first line, 0 or 1
	PageSize int           // lines on one page, 1 to MaxPage
	Timeout  time.Duration // how long a session lives: after the last message, or when Fixed, after the first
	Fixed    bool
	Cards    bool     // choices and confirms go out as cards unless a person asked for text
	Language lang.Tag // of people who have not chosen
	Zone     *time.Location
	Root     *Node

	nodes  map[string]*Node
	search *index
}

// Node finds a node by its id, nil when there is none. The root has no id.
func (m *Menu) Node(id string) *Node { return m.nodes[id] }

// Len is the number of nodes without the root.
func (m *Menu) Len() int { return len(m.nodes) }

// IDs lists the ids of all nodes, sorted.
func (m *Menu) IDs() []string {
	ids := make([]string, 0, len(m.nodes))
	for id := range m.nodes {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids
}

// Node is one entry. Its Steps are asked in their order when it is entered. Then
//
//   - with Items it is a list, whose nodes know the parameters;
//   - else it is a road: its last step is an action or a report, or a list or custom step that is only read;
//   - a node with Link stands for another node, one with Open for a built-in room. Both have neither Steps nor Items.
type Node struct {
	ID     string
	Title  lang.Words
	Alias  []string // further words under which it is found
	Env    string   // environment, such as prod: its own, or the nearest one above; "" for none
	File   string
	Line   int
	Parent *Node     // nil for the root
	When   Condition // shown and entered only while it holds
	Steps  []Step
	Items  []*Node
	Link   *Node
	Open   string  // OpenRecent, OpenFavourites, OpenTasks
	Params []Param // known behind the last step: those of the nodes above first
	Index  int     // in the order of the files, the root 0: for tables beside the menu

	path []string
}

// Built-in rooms of Node.Open.
const (
	OpenRecent     = "recent"     // 最近: the last orders, to be given again
	OpenFavourites = "favourites" // 收藏
	OpenTasks      = "tasks"      // 我的任务
)

// Path is the ids from the top to this node; the root's is empty. It must not be changed.
func (n *Node) Path() []string { return n.path }

// Target is the node itself, or what it is a link to.
func (n *Node) Target() *Node {
	if n.Link != nil {
		return n.Link
	}
	return n
}

// Deed is what the road is about, for the policy: its action, or the source of the last list or custom step of a road that
// only shows something. Ok is false for a node that is no road, and for one that shows only what the menu or the program
// itself knows (a table, the directory, a Go node): those need a grant of the branch and no action.
func (n *Node) Deed() (src Source, ok bool) {
	if len(n.Steps) == 0 || len(n.Items) > 0 {
		return Source{}, false
	}
	switch last := n.Steps[len(n.Steps)-1]; {
	case last.Action != nil:
		return last.Action.Source, true
	case last.Dynamic != nil && last.Dynamic.Source != nil:
		return *last.Dynamic.Source, true
	case last.Custom != nil && last.Custom.Remote != nil:
		return *last.Custom.Remote, true
	}
	return Source{}, false
}

// Changes reports whether the node is a road that ends in an order to change something: a report changes nothing.
func (n *Node) Changes() bool {
	act := n.Order()
	return act != nil && !act.Report
}

// Order is the action or report that the road ends in, nil when it ends in none.
func (n *Node) Order() *Action {
	if len(n.Steps) == 0 || len(n.Items) > 0 {
		return nil
	}
	return n.Steps[len(n.Steps)-1].Action
}

// Param is a parameter that a step sets.
type Param struct {
	Name  string
	Kind  string     // Int for Int and Port inputs, else Text: the type of its value and of the argument made of it
	Label lang.Words // what a person calls it; the name when the menu says nothing
	Node  *Node      // whose step sets it
	Step  int        // of that node
	// After names the parameters that the step's source, table or directory depends on: when one of them changes, the
	// value counts no longer.
	After []string
}

// Step is exactly one of its fields.
type Step struct {
	Line    int
	Dynamic *Dynamic
	Input   *Input
	Custom  *Custom
	Confirm *Confirm
	Action  *Action // written as action or, with Report, as report
}

// Param is the name of the value that this step asks for, "" when it asks for none.
func (s Step) Param() string {
	switch {
	case s.Dynamic != nil:
		return s.Dynamic.Param
	case s.Input != nil:
		return s.Input.Param
	case s.Custom != nil:
		return s.Custom.Param
	}
	return ""
}

// Dynamic is a list of which exactly one of Source, Directory and Table says where it comes from. With Param, choosing a
// line sets the parameter; without, the list is only read, its lines have no numbers, and it is the last step.
type Dynamic struct {
	Param  string
	Label  lang.Words
	Prompt lang.Words
	Empty  lang.Words // shown when the list has no lines

	Source    *Source       // an executor
	Directory string        // wire.ListMembers or wire.ListDepartments
	In        *Arg          // Directory: the department's id, nil for all
	Table     *Table        // the menu file itself
	Cache     time.Duration // Source, Directory: how long an answer counts as new, 0 for not at all
	Stale     time.Duration // and how long after that it is shown, with its age, while a new one is fetched

	Multi       bool // several lines may be chosen; the value is theirs joined by commas, in the order of the list
	Least, Most int  // Multi: how many, 1 to MaxPicked
}

// Table is lines written in the menu, one list for all, or one for each value of the parameter By.
type Table struct {
	By    string // "" for the one list under the key ""
	Lists map[string][]Entry
}

// Entry is one line of a table or an enum.
type Entry struct {
	Value  string
	Label  lang.Words // the value when empty
	Detail lang.Words
}

// Types of typed values and of arguments.
const (
	Text     = "text"
	Int      = "int"
	Port     = "port"      // 1 to 65535; the argument is a whole number
	DNSLabel = "dns_label" // RFC 1123: a-z, 0-9 and - inside, at most 63 bytes
	Enum     = "enum"      // one of a fixed list, chosen by number; the argument is text
	Date     = "date"      // 2026-11-23, also 今天 明天 昨天
	Clock    = "time"      // 14:30
	DateTime = "datetime"  // 2026-11-23 14:30
	Duration = "duration"  // 90s, 5m, 1h30m, 2d; also 5分钟; the argument is Go's form, such as 1h30m0s
	Lines    = "lines"     // text of several lines
	Bool     = "bool"      // arguments only
)

// Input is a value that the person types.
type Input struct {
	Param     string
	Label     lang.Words
	Type      string
	Prompt    lang.Words
	Example   string
	Default   string     // taken when the person answers 默认; "" for none
	Min, Max  int64      // Int, Port: of the value; Duration: nanoseconds
	From, To  string     // Date, DateTime: earliest and latest, absolute or today, today+7d, now, now+2h; "" for any
	Pattern   string     // Text: the whole value must match, RE2; "" for any
	Hint      lang.Words // Text: what to say when it does not match
	MaxLength int        // Text, Lines: characters
	Values    []Entry    // Enum
	Current   string     // field of the confirm's question that holds the present value, "" for none

	match matcher
}

// Custom is a step that is not written in YAML: exactly one of Go and Remote. With Param, its end sets the parameter;
// without, it is only read and the last step.
type Custom struct {
	Param  string
	Label  lang.Words
	Prompt lang.Words
	Go     string  // name under which the program registered it
	Remote *Source // or a question to an executor, answered with a wire.View
}

// Ways to confirm.
const (
	ByNumber = "number" // 1
	ByCode   = "code"   // the four digits that are shown
)

// Confirm is the last question before an action. The fields of Current's answer can be used in Text and by the action.
type Confirm struct {
	By      string
	Current *Source
	Text    Template
	Noop    bool // a dry run may be ordered as well, which shows what would change and changes nothing
}

// Action is the order that a road ends in. One with Report changes nothing, and is given without a confirm as soon as its
// arguments are known.
type Action struct {
	Source
	Report  bool
	Title   Template
	Expires time.Duration // an executor that takes it up later must not run it
}

// Source names an action of an executor's catalog in a zone's pool, and the arguments it gets.
type Source struct {
	Line   int
	Zone   string
	Pool   string
	Action string
	Args   map[string]Arg
}

// Arg says where an argument's value comes from. Written as $name it is the parameter with its own type, as
// $current.name the text of a field of the confirm's question, as $current.name:int that field as a whole number.
// Every other scalar is the value itself; a text that shall begin with $ is written with $$.
type Arg struct {
	Line    int
	Param   string
	Current string
	Int     bool // Current only
	Literal any  // string, int64 or bool, when neither Param nor Current is set
}
