package menu_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"palmops/libs/wire"
	"palmops/services/dialog/menu"
)

// conditional builds a menu whose node x is there when the condition holds, below the parameters n (int) and word.
func conditional(when string) (menu.Condition, error) {
	m, err := one(fmt.Sprintf(`
version: 1
title: t
items:
  - id: asks
    title: t
    steps: [input: {param: n, type: int}, input: {param: word, type: text}]
    items: [{id: x, title: t, open: tasks, when: %q}]
`, when))
	if err != nil {
		return menu.Condition{}, err
	}
	return m.Node("x").When, nil
}

func TestConditions(t *testing.T) {
	// A Sunday in Shanghai, still Saturday in UTC.
	v := menu.Vars{
		Person: wire.Person{User: "zhangsan", Name: "张三", Departments: []int64{2, 3}, Tags: []int64{1}}, At: time.Date(2026, 11, 21, 23, 5, 0, 0, time.UTC),
		Env: "prod", Params: map[string]any{"n": int64(5), "word": "web-1"},
	}
	for when, want := range map[string]bool{
		`user == "zhangsan"`:                        true,
		`name startsWith "张"`:                       true,
		`3 in departments`:                          true,
		`4 in departments or 1 in tags`:             true,
		`not (2 in departments)`:                    false,
		`weekday == 7 and hour == 7 and minute > 4`: true,
		`date == "2026-11-22"`:                      true,
		`date >= "2026-11-01" && date < "2026-12"`:  true,
		`env in ["prod", "stage"]`:                  true,
		`env == "prod" ? n > 3 : true`:              true,
		`n % 2 == 0`:                                false,
		`word matches "^web-[0-9]+$"`:               true,
		`len(word) == 5 and upper(word) == "WEB-1"`: true,
		`word contains "eb" and lower(user) != ""`:  true,
		`len(tags) == 1`:                            true,
		`100 / (n - 5) > 1`:                         true, // infinity
		`100 % (n - 5) == 1`:                        false,
		`true`:                                      true,
		`1 > 2`:                                     false,
	} {
		c, err := conditional(when)
		if err != nil {
			t.Errorf("%s: %v", when, err)
			continue
		}
		if got := c.Holds(v); got != want || c.String() != when {
			t.Errorf("%s: holds %t", c, got)
		}
		if fixed := !strings.ContainsAny(when, `"nd`) && c.Fixed(); fixed != (when == "true" || when == "1 > 2") {
			t.Errorf("%s: fixed %t", when, fixed)
		}
	}
}

func TestAConditionThatCannotBeEvaluatedDoesNotHold(t *testing.T) {
	for _, when := range []string{`n != 3`, `word != "x"`, `not (word == "x")`} {
		c, err := conditional(when)
		if err != nil {
			t.Fatal(err)
		}
		for _, params := range []map[string]any{nil, {"n": "text", "word": int64(3)}, {"n": nil, "word": nil}, {"n": 1.5, "word": []string{}}} {
			if c.Holds(menu.Vars{Params: params}) {
				t.Errorf("%s holds with %v", when, params)
			}
		}
	}
	if !(menu.Condition{}).Holds(menu.Vars{}) {
		t.Error("no condition does not hold")
	}
}

func TestConditionsAreShort(t *testing.T) {
	for when, ok := range map[string]bool{
		`user != "` + strings.Repeat("x", 290) + `"`:                 true,
		`user != "` + strings.Repeat("x", 291) + `"`:                 false,
		"n" + strings.Repeat("+1", 48) + "==0":                       true,
		"n" + strings.Repeat("+1", 60) + "==0":                       false,
		strings.Repeat("(", 100) + "true" + strings.Repeat(")", 100): true,
		strings.Repeat("!", 250) + "true":                            false,
	} {
		if _, err := conditional(when); (err == nil) != ok {
			t.Errorf("%.30s… of %d characters: %v", when, len(when), err)
		}
	}
}

func TestAParameterHidesAName(t *testing.T) {
	m := must(t, `
version: 1
title: t
items:
  - id: asks
    title: t
    steps: [input: {param: user, type: int}]
    items: [{id: x, title: t, open: tasks, when: user == 3}]
`)
	if !m.Node("x").When.Holds(menu.Vars{Person: wire.Person{User: "y"}, Params: map[string]any{"user": int64(3)}}) {
		t.Error("the parameter user does not count")
	}
}

func FuzzWhen(f *testing.F) {
	for _, s := range []string{`n > 3`, `word in ["a"]`, `1 % 0 == 0`, `"x"[:9] == ""`, `#`, `.x`, `n..9`, `true ? 1 : "x"`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, when string) {
		c, err := conditional(when)
		if err == nil {
			c.Holds(menu.Vars{Params: map[string]any{"n": int64(1), "word": "x"}})
			c.Holds(menu.Vars{})
		}
	})
}

func TestConditionsOnlySeeWhatTheyAreGiven(t *testing.T) {
	c, err := conditional(`hour < 12 and user != word and n > 0`)
	if err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(t *rapid.T) {
		v := menu.Vars{
			Person: wire.Person{User: rapid.String().Draw(t, "user")}, At: time.Unix(rapid.Int64Range(0, 1<<33).Draw(t, "at"), 0),
			Params: map[string]any{"n": rapid.Int64().Draw(t, "n"), "word": rapid.String().Draw(t, "word")},
		}
		want := v.At.In(time.FixedZone("", 8*3600)).Hour() < 12 && v.Person.User != v.Params["word"] && v.Params["n"].(int64) > 0
		if v.At.Year() > 1992 && c.Holds(v) != want { // before, Shanghai had summer time
			t.Fatalf("%+v: not %t", v, want)
		}
	})
}
