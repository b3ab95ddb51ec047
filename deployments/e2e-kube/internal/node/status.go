package node

import (
	"fmt"
	"hash/fnv"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func podReady(p *corev1.Pod) bool {
	for _, c := range p.Status.Conditions {
		if c.Type == corev1.PodReady {
			return c.Status == corev1.ConditionTrue
		}
	}
	return false
}

// statusOf is the status of a pod whose containers began at a time.
func statusOf(p *corev1.Pod, s script, since time.Time, ready bool) corev1.PodStatus {
	began := metav1.NewTime(since)
	out := corev1.PodStatus{Phase: corev1.PodRunning, HostIP: "127.0.0.1", PodIP: address(p), StartTime: &began}
	out.PodIPs = []corev1.PodIP{{IP: out.PodIP}}
	for kind, is := range map[corev1.PodConditionType]bool{
		corev1.PodScheduled: true, corev1.PodInitialized: true, corev1.ContainersReady: ready, corev1.PodReady: ready,
	} {
		c := corev1.PodCondition{Type: kind, Status: corev1.ConditionTrue, LastTransitionTime: metav1.Now()}
		if !is {
			c.Status, c.Reason, c.Message = corev1.ConditionFalse, "ContainersNotReady", "containers with unready status"
		}
		out.Conditions = append(out.Conditions, c)
	}
	for _, c := range p.Spec.Containers {
		started := !s.crash
		st := corev1.ContainerStatus{
			Name: c.Name, Image: c.Image, ImageID: c.Image, ContainerID: "none://" + string(p.UID), Ready: ready, Started: &started,
			RestartCount: int32(s.restarts), // a small number
			State:        corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: began}},
		}
		if s.crash {
			st.State = corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "CrashLoopBackOff", Message: "back-off 1m20s restarting failed container"}}
		}
		if s.restarts > 0 {
			st.LastTerminationState.Terminated = &corev1.ContainerStateTerminated{
				ExitCode: 137, Reason: "OOMKilled", StartedAt: metav1.NewTime(since.Add(-time.Hour)), FinishedAt: began,
			}
		}
		out.ContainerStatuses = append(out.ContainerStatuses, st)
	}
	return out
}

// address is an address made from the pod's UID. Nothing listens there.
func address(p *corev1.Pod) string {
	h := fnv.New32a()
	_, _ = h.Write([]byte(p.UID)) // never fails
	n := h.Sum32()
	return fmt.Sprintf("10.%d.%d.%d", n>>16&0xff, n>>8&0xff, n&0xff)
}
