package convert

// uclValue is a value of libucl's language, as rspamd's configuration is written:
// text, a list, or an object. A name given several times has all its values in a list.
type uclValue struct {
	text   string
	items  []*uclValue          // of a list
	fields map[string]*uclValue // of an object
	names  []string             // of its fields, in their order
	at     place
}

func newObject(at place) *uclValue {
	return &uclValue{fields: map[string]*uclValue{}, at: at}
}

// get is a field, nil where there is none.
func (v *uclValue) get(name string) *uclValue {
	if v == nil || v.fields == nil {
		return nil
	}
	return v.fields[name]
}

// all is the items of a list, or the value alone.
func (v *uclValue) all() []*uclValue {
	switch {
	case v == nil:
		return nil
	case v.items != nil:
		return v.items
	}
	return []*uclValue{v}
}

// scalar is text, or the last text of a list; "" for others.
func (v *uclValue) scalar() string {
	list := v.all()
	if len(list) == 0 || list[len(list)-1].fields != nil {
		return ""
	}
	return list[len(list)-1].text
}

func (v *uclValue) add(name string, value *uclValue) {
	old, ok := v.fields[name]
	switch {
	case !ok:
		v.names = append(v.names, name)
		v.fields[name] = value
	case old.items != nil && value.items != nil:
		old.items = append(old.items, value.items...)
	case old.items != nil:
		old.items = append(old.items, value)
	default:
		v.fields[name] = &uclValue{items: append([]*uclValue{old}, value.all()...), at: old.at}
	}
}

// merge lays over v what a file of local.d says: objects field by field, other values
// in the place of the old ones.
func (v *uclValue) merge(over *uclValue) {
	for _, name := range over.names {
		value := over.fields[name]
		old := v.fields[name]
		if old != nil && old.fields != nil && value.fields != nil {
			old.merge(value)
			continue
		}
		v.set(name, value)
	}
}

// override lays over v what a file of override.d says: whole values.
func (v *uclValue) override(over *uclValue) {
	for _, name := range over.names {
		v.set(name, over.fields[name])
	}
}

func (v *uclValue) set(name string, value *uclValue) {
	if _, ok := v.fields[name]; !ok {
		v.names = append(v.names, name)
	}
	v.fields[name] = value
}
