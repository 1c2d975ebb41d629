package router

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"umroute/cmd/umroute/internal/config"
	"umroute/cmd/umroute/internal/control"
)

// Reload reads the configuration again and applies what differs. What does not
// is not disturbed. A configuration that is wrong, or one whose devices cannot
// be opened, changes nothing.
func (r *Router) Reload(ctx context.Context) (control.Reload, error) {
	if r.options.Load == nil {
		r.log.Warn("nothing to reload: there is no configuration file")
		return control.Reload{}, control.Invalid(
			errors.New("reload: this router was started without a configuration file"))
	}
	r.changing.Lock()
	defer r.changing.Unlock()
	next, err := r.options.Load()
	if err == nil {
		err = r.checkReload(next)
	}
	if err != nil {
		r.log.Error("configuration not reloaded: nothing was changed", "err", err)
		return control.Reload{}, &control.WrongConfiguration{Err: err}
	}
	plan := config.Diff(r.current, next)
	document := reloadDocument(plan)
	if err := r.applyPlan(ctx, plan, next); err != nil {
		r.log.Error("configuration not reloaded", "err", err)
		return document, fmt.Errorf("reload: %w", err)
	}
	r.log.Info("configuration reloaded", "added", document.Added, "removed", document.Removed,
		"replaced", document.Replaced, "modified", document.Modified)
	return document, nil
}

// checkReload judges what only the running router knows of.
func (r *Router) checkReload(next *config.Config) error {
	if keys := config.Diff(r.current, next).Restart; len(keys) > 0 {
		return fmt.Errorf("reload: a restart is needed to change %s; nothing was changed",
			strings.Join(keys, ", "))
	}
	all := next.Interfaces
	for _, i := range r.list() {
		if i.origin != attached || r.registry.isGone(i) || has(r.current, i.config.Name) {
			continue
		}
		if has(next, i.config.Name) {
			return fmt.Errorf("reload: an interface %s is attached already; "+
				"run: umroute detach %[1]s", i.config.Name)
		}
		all = append(all[:len(all):len(all)], i.config)
	}
	if err := config.CheckTogether(all); err != nil {
		return fmt.Errorf("reload: with the attached interfaces: %w", err)
	}
	return nil
}

func has(c *config.Config, name string) bool {
	for _, i := range c.Interfaces {
		if i.Name == name {
			return true
		}
	}
	return false
}

// applyPlan goes through the steps of a plan, those first that can fail: devices
// that are new, then those that are opened anew.
func (r *Router) applyPlan(ctx context.Context, plan config.Plan, next *config.Config) error {
	fresh, err := r.openAll(plan.Add)
	if err != nil {
		return fmt.Errorf("%w; nothing was changed", err)
	}
	if err := r.reopenAll(ctx, plan.Replace); err != nil {
		r.closeAll(fresh)
		return err
	}
	for _, each := range plan.Remove {
		if i := r.byName(each.Name); i != nil {
			r.remove(ctx, i)
		}
	}
	var errs []error
	for _, i := range fresh {
		errs = append(errs, r.add(ctx, i))
	}
	for _, change := range plan.Modify {
		if i := r.byName(change.To.Name); r.lives(change.To.Name) {
			errs = append(errs, r.modify(ctx, i, change.To))
		}
	}
	r.revive(ctx, next)
	errs = append(errs, r.setRoutes(next), r.reconfigure(ctx, &next.Protocols))
	r.current = next
	if r.options.Reloaded != nil {
		r.options.Reloaded(next)
	}
	return errors.Join(errs...)
}

// revive opens the devices again that are gone or were detached, where that can
// be done by now.
func (r *Router) revive(ctx context.Context, next *config.Config) {
	for _, settings := range next.Interfaces {
		if r.lives(settings.Name) || settings.FD != 0 {
			continue
		}
		if err := r.reopen(ctx, settings.Name, settings); err != nil {
			r.log.Warn("interface not opened again", "if", settings.Name, "err", err)
		}
	}
}

// lives says whether there is such an interface with a device.
func (r *Router) lives(name string) bool {
	i := r.byName(name)
	return i != nil && !r.registry.isGone(i)
}

// openAll opens the devices of new interfaces; on an error none.
func (r *Router) openAll(all []config.Interface) (opened []*iface, err error) {
	for _, each := range all {
		i, err := r.open(each, configured)
		if err != nil {
			r.closeAll(opened)
			return nil, err
		}
		opened = append(opened, i)
	}
	return opened, nil
}

func (r *Router) closeAll(opened []*iface) {
	for _, i := range opened {
		r.closeDevice(i)
	}
}

// reopenAll opens devices anew. On an error it goes back to how it was.
func (r *Router) reopenAll(ctx context.Context, changes []config.Change) error {
	var done []config.Change
	for _, change := range changes {
		lived := r.lives(change.From.Name)
		err := r.reopen(ctx, change.From.Name, change.To)
		if lived && (err == nil || !r.lives(change.From.Name)) {
			done = append(done, change)
		}
		if err == nil {
			continue
		}
		for _, each := range done {
			if backErr := r.reopen(ctx, each.To.Name, each.From); backErr != nil {
				err = fmt.Errorf("%w; and %s is lost: %w", err, each.From.Name, backErr)
			}
		}
		return fmt.Errorf("%w; the devices are as they were before", err)
	}
	return nil
}

// reopen puts an interface in the place of the one of that name, if there is
// one. That is closed first only where both are on one device.
func (r *Router) reopen(ctx context.Context, name string, settings config.Interface) error {
	old := r.byName(name)
	if r.lives(name) && old.config.SharesDevice(settings) {
		r.remove(ctx, old)
		old = nil
	}
	i, err := r.open(settings, configured)
	if err != nil {
		return err
	}
	if old != nil {
		r.remove(ctx, old)
	}
	return r.add(ctx, i)
}

// reconfigure gives the protocols their settings on the loop.
func (r *Router) reconfigure(ctx context.Context, settings *config.Protocols) (err error) {
	if !r.loop.run(ctx, func(now time.Time) { err = r.configureProtocols(now, settings) }) {
		return errStopped
	}
	return err
}

func reloadDocument(plan config.Plan) control.Reload {
	document := control.Reload{Added: []string{}, Removed: []string{}, Replaced: []string{},
		Modified: []string{}}
	for _, i := range plan.Add {
		document.Added = append(document.Added, i.Name)
	}
	for _, i := range plan.Remove {
		document.Removed = append(document.Removed, i.Name)
	}
	for _, change := range plan.Replace {
		document.Replaced = append(document.Replaced, change.To.Name)
	}
	for _, change := range plan.Modify {
		document.Modified = append(document.Modified, change.To.Name)
	}
	return document
}
