"""A BERT cross-encoder whose definitions can be computed before any question is known.

Question and definition first run through the lower layers each on its own. In the upper layers
the question's rows also read the definition's, but not the other way round, so all that a
definition gives to any question, its keys and values in the upper layers, can be stored.
The lower half is PreTTR (MacAvaney et al. 2020, https://arxiv.org/abs/2004.14255); that the
definition never reads the question is what leaves so little to be done for each pair. In the last
layers only the row of [CLS] goes on; it reads the question's rows as the layer before left them.
"""

from __future__ import annotations

from dataclasses import dataclass

from glossrank.architectures.bert import BertConfig
from glossrank.architectures.fields import ConfigFields
from glossrank.architectures.post_norm import read_sizes


@dataclass(frozen=True, kw_only=True)
class IndexedBertConfig(BertConfig):
    """BERT's tensors under BERT's names; transformers refuses the family, as it must.

    Attributes:
        join_layer: the first layer, from 0, in which the question reads the definition.
        cls_layers: the last layers, in which only the row of [CLS] is computed; at least one.
        document_position: position of a definition's first token, whatever the question's length.
    """

    family = "indexed-bert"
    architecture = "IndexedBertForSequenceClassification"

    join_layer: int
    cls_layers: int
    document_position: int

    @property
    def position_rows(self) -> int:
        return self.max_positions + self.document_position

    @property
    def state_size(self) -> int:
        """Numbers that are stored for each token of a definition: a key and a value a layer."""
        return 2 * self.hidden_size * (self.num_layers - self.join_layer)

    @classmethod
    def read(
        cls, fields: ConfigFields, *, takes_token_types: bool, activation: str | None
    ) -> IndexedBertConfig:
        sizes = read_sizes(fields)
        join = fields.whole("join_layer", sizes["num_layers"] - 1)
        last = fields.whole("cls_layers", sizes["num_layers"] - join, default=1)
        position = fields.whole("document_position", sizes["max_positions"] // 2)
        # A pair has room for the definition alone: its positions start further on.
        sizes["max_positions"] -= position
        return cls(
            **sizes,
            padding_index=None,
            takes_token_types=takes_token_types,
            activation=activation,
            join_layer=join,
            cls_layers=last,
            document_position=position,
        )
