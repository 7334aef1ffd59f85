"""fp32 master weights of a model that computes in another type, and the AdamW that moves them.

A step of 5e-5 is lost when it is added to a bf16 number, which has eight bits; so the sum is
kept in fp32 and rounded for the next forward pass (Micikevicius et al. 2018, section 3.1).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from glossrank.training.recipe import Recipe

if TYPE_CHECKING:
    import torch


# Against a division by 0, as in torch's own function.
_TINY = 1e-6


@dataclass(frozen=True, kw_only=True)
class AdamSettings:
    """Settings of the optimizer (Loshchilov and Hutter 2019).

    Attributes:
        weight_decay: of matrices; biases and the gains of norms are not decayed.
        factor: what the learning rate is multiplied by at a step, counted from 0.
        max_grad_norm: gradients are scaled to this norm if theirs is larger; 0: never.
    """

    learning_rate: float
    weight_decay: float
    max_grad_norm: float
    factor: Callable[[int], float]
    beta1: float = Recipe.adam_beta1
    beta2: float = Recipe.adam_beta2
    epsilon: float = Recipe.adam_epsilon


class MasterWeights:
    """Trains ``masters`` with the gradients of ``live``, and keeps ``live`` their copy.

    Args:
        masters: fp32 leaf tensors by name, with gradients.
        live: leaf tensors of the same names and shapes that the loss is computed from, in any
            floating type; a tensor that is its own master is allowed.
    """

    def __init__(
        self,
        masters: Mapping[str, torch.Tensor],
        live: Mapping[str, torch.Tensor],
        settings: AdamSettings,
    ) -> None:
        import torch

        self.masters = dict(masters)
        self._live = dict(live)
        self._max_grad_norm = settings.max_grad_norm
        self._optimizer = torch.optim.AdamW(
            [
                {
                    "params": [p for p in self.masters.values() if p.dim() > 1],
                    "weight_decay": settings.weight_decay,
                },
                {
                    "params": [p for p in self.masters.values() if p.dim() <= 1],
                    "weight_decay": 0.0,
                },
            ],
            lr=settings.learning_rate,
            betas=(settings.beta1, settings.beta2),
            eps=settings.epsilon,
            fused=True,
        )
        self._schedule = torch.optim.lr_scheduler.LambdaLR(self._optimizer, settings.factor)

    def step(self, loss: torch.Tensor) -> None:
        """Backward pass, one optimizer step on the masters, and their copy to ``live``."""
        for parameter in self._live.values():
            parameter.grad = None
        loss.backward()  # type: ignore[no-untyped-call]
        gradients = {name: g for name, live in self._live.items() if (g := live.grad) is not None}
        factor = self._clip_factor(gradients.values())
        for name, master in self.masters.items():
            gradient = gradients.get(name)
            # Scaled while it is in the cache: a second pass over all gradients costs a tenth.
            master.grad = None if gradient is None else gradient.float().mul_(factor)
        self._optimizer.step()
        self._schedule.step()
        self._copy()

    def _clip_factor(self, gradients: Iterable[torch.Tensor]) -> float:
        """What gradients are multiplied by, as in ``torch.nn.utils.clip_grad_norm_``."""
        import torch

        if self._max_grad_norm <= 0:
            return 1.0
        norms = [torch.linalg.vector_norm(g, dtype=torch.float32) for g in gradients]
        norm = float(torch.linalg.vector_norm(torch.stack(norms)))
        return min(1.0, self._max_grad_norm / (norm + _TINY))

    def state(self) -> dict[str, Any]:
        """All that the next step depends on, for a checkpoint."""
        return {
            "master": self.masters,
            "optimizer": self._optimizer.state_dict(),
            "schedule": self._schedule.state_dict(),
        }

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on from what :meth:`state` gave."""
        import torch

        with torch.no_grad():
            for name, value in state["master"].items():
                self.masters[name].copy_(value)
        self._copy()
        self._optimizer.load_state_dict(state["optimizer"])
        self._schedule.load_state_dict(state["schedule"])

    def _copy(self) -> None:
        import torch

        with torch.no_grad():
            for name, master in self.masters.items():
                if self._live[name] is not master:
                    self._live[name].copy_(master)
