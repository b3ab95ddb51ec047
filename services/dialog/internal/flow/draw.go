package flow

import (
	"strconv"
	"strings"

	"palmops/libs/wire"
	"palmops/services/dialog/menu"
)

// draw makes the screen of a place from what is stored of it.
func (t *turn) draw(p place, sh Shown, note string) wire.Screen {
	if sh.Room.Name != "" {
		return t.drawRoom(p, sh, note)
	}
	s := wire.Screen{Kind: sh.Kind, Note: note, Title: p.node.Title.In(t.lang)}
	step := p.current()
	switch {
	case sh.Kind == wire.ScreenAccepted:
		s.Title = t.say("accepted.before")
		s.Body = []string{t.say("accepted.nothing")}
	case step == nil:
		t.drawNodes(&s, p, sh)
	case step.Dynamic != nil:
		t.drawList(&s, p, sh, step.Dynamic)
	case step.Input != nil:
		s.Body = []string{t.prompt(step.Input)}
		t.drawPresent(&s, p, step)
		t.drawLines(&s, p, sh, true)
	case step.Custom != nil:
		t.drawView(&s, p, sh, step.Custom)
	case step.Confirm != nil:
		t.drawConfirm(&s, p, sh, step.Confirm)
	}
	s.Keys = t.keys(p, sh)
	return s
}

func (t *turn) drawNodes(s *wire.Screen, p place, sh Shown) {
	if len(p.node.Steps) > 0 { // what was chosen on the way is what the list is about
		for _, f := range t.form(p, nil) {
			s.Body = append(s.Body, f.text)
		}
	}
	chosen := len(s.Body)
	for _, f := range t.rights.Frozen(p.node) {
		s.Body = append(s.Body, t.say("freeze.list", t.freeze(f)))
	}
	if len(sh.Items) == 0 && len(s.Body) == chosen {
		s.Body = append(s.Body, t.say("list.no_nodes"))
	}
	t.drawLines(s, p, sh, true)
}

func (t *turn) drawList(s *wire.Screen, p place, sh Shown, d *menu.Dynamic) {
	if text := d.Prompt.In(t.lang); text != "" {
		s.Body = append(s.Body, text)
	}
	if len(sh.Items) == 0 {
		empty := d.Empty.In(t.lang)
		if empty == "" {
			empty = t.say("list.empty")
		}
		s.Body = []string{empty}
	}
	step := p.current()
	t.drawPresent(s, p, step)
	if d.Multi && d.Param != "" && len(sh.Items) > 0 {
		_, most := bounds(d)
		s.Body = append(s.Body, t.say("multi.hint", len(sh.Picked), most))
	}
	switch all := t.say("list.all_key"); {
	case sh.Filter == "":
	case d.Multi && d.Param != "":
		all = t.say("list.all_word")
		fallthrough
	default:
		s.Body = append(s.Body, t.say("list.filter", clean(sh.Filter, maxFilter), len(sh.Items), sh.Total, all))
	}
	if sh.AsOf > 0 {
		s.Body = append(s.Body, t.age(sh.AsOf))
	}
	t.drawLines(s, p, sh, d.Param != "")
	switch {
	case sh.Total > len(sh.Items) && sh.Filter == "":
		s.Body = append(s.Body, t.say("list.cut", sh.Total, len(sh.Items)))
	case sh.Filter != "" && len(sh.Items) == MaxList && sh.Total > MaxList:
		s.Body = append(s.Body, t.say("list.cut_filter", MaxList))
	}
}

// drawPresent says what a value is that is being changed.
func (t *turn) drawPresent(s *wire.Screen, p place, step *menu.Step) {
	h, ok := present(step, t.s.Ahead)
	if !ok {
		return
	}
	prm, ok := param(p.node, h.Param)
	if !ok {
		return
	}
	s.Body = append(s.Body, t.say("change.present", t.shown(p, prm, h.text(), h.Label), t.backWord()))
}

// drawLines adds the present page of a list, with numbers or to be read only.
func (t *turn) drawLines(s *wire.Screen, p place, sh Shown, numbered bool) {
	lines := t.lines(p, sh)
	from := min(sh.Page*t.m.PageSize, len(lines))
	to := min(from+t.m.PageSize, len(lines))
	choices := withNumbers(lines[from:to], from, t.m.First)
	if step := p.current(); sh.Room.Name == "" && step != nil && step.Dynamic != nil && step.Dynamic.Multi && numbered {
		picked := make(map[string]bool, len(sh.Picked))
		for _, v := range sh.Picked {
			picked[v] = true
		}
		for i := range choices {
			mark := "☐ "
			if picked[lines[from+i].Value] {
				mark = "☑ "
			}
			choices[i].Label = mark + choices[i].Label
		}
	}
	if numbered {
		s.Choices = choices
	} else {
		for _, c := range choices {
			line := c.Label
			if c.Detail != "" {
				line += "  " + c.Detail
			}
			s.Body = append(s.Body, line)
		}
	}
	if pages := t.pages(p, sh); pages > 1 {
		s.Page, s.Pages = sh.Page+1, pages
	}
}

// withNumbers is choices for lines, counted from the menu's first number.
func withNumbers(lines []wire.Item, from, first int) []wire.Choice {
	var out []wire.Choice
	for i, it := range lines {
		label := it.Label
		if label == "" {
			label = it.Value
		}
		out = append(out, wire.Choice{Key: strconv.Itoa(from + i + first), Label: strings.TrimSpace(label), Detail: it.Detail})
	}
	return out
}

func (t *turn) drawView(s *wire.Screen, p place, sh Shown, c *menu.Custom) {
	if text := c.Prompt.In(t.lang); text != "" && len(p.inputs) == 0 {
		s.Body = append(s.Body, text)
	}
	if sh.View != nil {
		v := bounded(*sh.View)
		if v.Title != "" {
			s.Title = v.Title
		}
		s.Body = append(s.Body, v.Body...)
	}
	t.drawPresent(s, p, p.current())
	t.drawLines(s, p, sh, true)
}

func (t *turn) drawConfirm(s *wire.Screen, p place, sh Shown, c *menu.Confirm) {
	text, _ := c.Text.Text(t.lang, t.data(p, sh)) // was filled in when the screen was opened
	s.Title = t.say("confirm.title", s.Title)
	s.Body = []string{clean(text, 500)}
	if c.By == menu.ByCode {
		s.Body = append(s.Body, t.say("confirm.code", clean(sh.Code, 8)))
	} else {
		s.Choices = []wire.Choice{{Key: "1", Label: t.say("confirm.run")}}
	}
	fields := t.form(p, sh.Current)
	for i, f := range fields {
		s.Choices = append(s.Choices, wire.Choice{Key: strconv.Itoa(firstField + i), Label: f.text})
	}
	if c.Noop { // behind the values, whose numbers it must not move
		s.Choices = append(s.Choices, wire.Choice{Key: strconv.Itoa(firstField + len(fields)), Label: t.say("confirm.noop")})
	}
}

func (t *turn) drawRoom(p place, sh Shown, note string) wire.Screen {
	s := wire.Screen{Kind: sh.Kind, Note: note}
	switch sh.Room.Name {
	case roomSearch:
		s.Title = t.say("search.title", clean(sh.Room.Arg, 40))
	case roomRecent:
		s.Title, s.Body = t.say("recent.title"), []string{t.recentPrompt(sh)}
	case roomFavourites:
		s.Title, s.Body = t.say("fav.title"), []string{t.say("fav.prompt")}
	case roomTasks:
		s.Title = t.say("tasks.title")
	case roomTask:
		t.drawTask(&s, sh)
	case roomOutput:
		s.Title = t.say("output.title", wire.ShortID(clean(sh.Room.Arg, 40)))
		if sh.View != nil {
			for _, line := range sh.View.Body[:min(len(sh.View.Body), maxPageLines)] {
				s.Body = append(s.Body, visibleText(head(line, maxPageBytes)))
			}
		}
		if sh.Total > 1 {
			s.Page, s.Pages = sh.Page+1, sh.Total
		}
	case roomCancel:
		if sh.Kind == wire.ScreenAccepted {
			s.Title, s.Body = t.say("accepted.before"), []string{t.say("accepted.nothing")}
			break
		}
		s.Title = t.say("confirm.title", t.say("task.cancel"))
		s.Body = []string{t.say("task.cancel_body", wire.ShortID(clean(sh.Room.Arg, 40)), clean(sh.Current[fieldTitle], maxTitle))}
		s.Choices = []wire.Choice{{Key: "1", Label: t.say("task.cancel_run")}}
	}
	if sh.Room.Name != roomOutput && sh.Room.Name != roomCancel {
		t.drawLines(&s, p, sh, true)
	}
	s.Keys = t.keys(p, sh)
	return s
}

func (t *turn) drawTask(s *wire.Screen, sh Shown) {
	s.Title = t.say("task.title", wire.ShortID(clean(sh.Room.Arg, 40)), t.state(sh.Current[fieldState]))
	s.Body = append(s.Body, clean(sh.Current[fieldTitle], maxTitle))
	for _, f := range []string{fieldStep, fieldSummary} {
		if text := clean(sh.Current[f], maxTitle); text != "" {
			s.Body = append(s.Body, text)
		}
	}
	if at := clean(sh.Current[fieldAt], 20); at != "" {
		s.Body = append(s.Body, t.say("task.at", at))
	}
}

func (t *turn) backWord() string {
	if t.m.First == 0 {
		return t.say("key.back_word")
	}
	return "0"
}

// keys is the line that says which keys work on this screen.
func (t *turn) keys(p place, sh Shown) string {
	var keys []string
	add := func(key string) { keys = append(keys, t.say(key)) }
	if sh.Page+1 < t.pages(p, sh) {
		add("key.next")
	}
	if sh.Page > 0 {
		add("key.prev")
	}
	if step := p.current(); sh.Room.Name == "" && step != nil && step.Dynamic != nil && step.Dynamic.Multi && len(sh.Items) > 0 {
		add("key.done")
	}
	var edit []string
	if sh.Room.Name == "" && sh.Kind == wire.ScreenConfirm {
		edit = t.editKeys(p)
		keys = append(keys, edit...)
	}
	if p.node.Parent != nil || sh.Room.Name != "" {
		back := "key.back"
		if len(edit) > 0 {
			back = "key.change"
		}
		word := t.say(back)
		if t.m.First == 1 {
			word = "0 " + word
		}
		keys = append(keys, word)
		add("key.home")
	}
	add("key.exit")
	add("key.help")
	return strings.Join(keys, " · ")
}

// editKeys are the numbers by which the values of a confirm can be changed.
func (t *turn) editKeys(p place) []string {
	n := 0
	for _, prm := range p.node.Params {
		if _, ok := p.params[prm.Name]; ok {
			n++
		}
	}
	switch n {
	case 0:
		return nil
	case 1:
		return []string{t.say("key.edit", strconv.Itoa(firstField))}
	}
	return []string{t.say("key.edit", strconv.Itoa(firstField)+"-"+strconv.Itoa(firstField+n-1))}
}
