# ruff: noqa: E501 - a table reads best with a case a line
"""Configs that are wrong by themselves: types, ranges, names, at every level of every section."""

from malformed_case import Case, config

__all__ = ["CASES"]

PICTURES = {"data": "photos", "model": "{name: lenet5}", "train": "{epochs: 1, batch_size: 8}"}
STORY = {
    "data": "story.txt",
    "model": "{name: gpt, num_layers: 1, num_heads: 2, hidden_size: 8, context: 16}",
    "train": "{epochs: 1, batch_size: 4}",
}
PRICES = {**{"data": "{path: prices.csv, target: price}"}, "train": "{epochs: 1, batch_size: 8}"}
PONG = {"data": "{environment: CartPole-v1}", "train": "{epochs: 1}"}
SWING = {"data": "{environment: Pendulum-v1}", "train": "{epochs: 1}"}


def pictures(snippet: str, pattern: str, code: int = 2) -> Case:
    return config(snippet, pattern, code, PICTURES)


def story(snippet: str, pattern: str, code: int = 2) -> Case:
    return config(snippet, pattern, code, STORY)


TOP = [
    config("data: -", r"data is missing; add it"),
    config("data: 5", r"config\.yaml:1: data=5 does not fit.*path"),
    config("data: true", r"config\.yaml:1: data=True does not fit.*path"),
    config("data: []", r"config\.yaml:1: data=\[\] does not fit.*path"),
    config("data: [a.csv, b.csv]", r"config\.yaml:1: data=.* does not fit.*path"),
    config("data: {}", r"config\.yaml:1: data=\{\} does not fit.*path"),
    config("data: ''", r"config\.yaml:1: data='' does not fit.*path"),
    config("data: ~", r"data.*(missing|does not fit)"),
    config("data: {pathh: table.csv}", r"config\.yaml:1: .*pathh.*did you mean path\?"),
    config("data: {path: 5}", r"config\.yaml:1: data\.path=5.*expected.*path"),
    config("data: {path: [table.csv]}", r"data\.path=.*expected.*path"),
    config("data: {path: ''}", r"data\.path='' .*expected.*path"),
    config("data: {name: 5}", r"data\.name=5 does not fit.*string"),
    config("data: {name: digits, foo: 1}", r"config\.yaml:1: data\.foo is not a known setting"),
    config("data: {name: digist}", r"digist.*did you mean digits\?"),
    config("data: fashion-mnits", r"fashion-mnits.*did you mean fashion-mnist\?"),
    config("optimiser: adam", r"config\.yaml:4: optimiser is not a known setting; did you mean optimizer\?"),
    config("modle: lenet5", r"config\.yaml:4: modle is not a known setting; did you mean model\?"),
    config("5: lenet5", r"config\.yaml:4: 5 is not a known setting; known: .*data"),
    config("trian: {epochs: 3}", r"trian is not a known setting; did you mean train\?"),
    config("doctor: maybe", r"config\.yaml:4: doctor='maybe' is not one of off, advise or repair"),
    config("doctor: 5", r"doctor=5 is not one of off, advise or repair"),
    config("doctor: repiar", r"doctor='repiar' .*did you mean repair\?"),
    config("expect: 5", r"config\.yaml:4: expect=5 does not fit; expected a section"),
    config("expect: [accuracy]", r"expect=.* does not fit; expected a section"),
    config("expect: {accuracy: high}", r"expect\.accuracy='high' does not fit; expected a.*number"),
    config("expect: {accuracy: .nan}", r"expect\.accuracy=nan does not fit; expected a finite number"),
    config("expect: {accuracy: .inf}", r"expect\.accuracy=inf does not fit; expected a finite number"),
    config("expect: {acuracy: 0.9}", r"config\.yaml:4: expect\.acuracy.*not measured.*did you mean accuracy\?"),
    config("expect: {rmse: 3}", r"expect\.rmse.*not measured.*accuracy"),
    config("metrics: 5", r"metrics=5 does not fit; expected a.*list"),
    config("metrics: accuracy", r"metrics='accuracy' does not fit; expected a.*list"),
    config("metrics: [5]", r"metrics\[0\]=5 does not fit; expected a.*string"),
    config("metrics: [acuracy]", r"config\.yaml:4: .*acuracy.*did you mean accuracy\?"),
]

TASK = [
    config("task: 5", r"task=5 does not fit"),
    config("task: []", r"task=\[\] does not fit"),
    config("task: {}", r"task\.name is missing; add it"),
    config("task: {name: 3}", r"task\.name=3 does not fit"),
    config("task: tabular-clasification", r"config\.yaml:4: task.*did you mean tabular-classification\?"),
    config("task: {name: regression, foo: 1}", r"task\.foo is not a known setting"),
    config("task: regression", r"task.*regression.*class.*tabular-classification"),
    config("task: language-modeling", r"task.*language-modeling.*tabular-classification"),
    config("task: q-learning", r"task.*q-learning.*tabular-classification"),
    config("task: gan", r"task.*gan.*(image|picture)"),
    config("task: {name: tabular-classification, schema: 5}", r"task\.schema is not a known setting"),
    config("task: {name: image-classification, metrics: 5}", r"task\.metrics=5 does not fit; expected .*list"),
    config("task: tabular-classification", r"task.*tabular-classification.*regression", base=PRICES),
    pictures("task: {name: gan, kind: hinged}\nmodel: gan", r"task\.kind='hinged' .*did you mean hinge\?"),
    pictures(
        "task: {name: gan, penalty: -1}\nmodel: gan", r"task\.penalty=-1 does not fit.*greater than or equal to 0"
    ),
    pictures("task: {name: gan, judge: nowhere}\nmodel: gan", r"nowhere.*no model", 4),
    pictures("task: gan\nmodel: mlp", r":2: task gan trains the discriminator.*use dcgan, gan"),
    pictures("task: {name: gan, kind: wasserstein-gp}\nmodel: {name: dcgan, depth: 2}", r"discriminator_norm: layer"),
    pictures("task: reconstruction\nmodel: {name: autoencoder, code_size: 0}", r"model\.code_size=0 does not fit"),
    pictures("task: reconstruction\nmodel: {name: conv_autoencoder, widths: [4, 4, 4, 4, 4]}", r"be halved 5 times"),
    pictures("task: reconstruction\nmodel: mlp", r":2: the network gives \(3,\) for inputs of"),
    pictures("task: {name: reconstruction, noise: -1}\nmodel: autoencoder", r"task\.noise=-1 does not fit"),
    pictures("task: {name: variational, likelihood: poisson}\nmodel: vae", r"task\.likelihood='poisson'"),
    pictures("task: variational\nmodel: vae\nloss: mse", r"task variational makes its own loss"),
    config("task: variational", r"task variational needs pictures"),
    story("task: {name: language-modeling, samples: -1}", r"task\.samples=-1 does not fit"),
    config(
        "task: {name: q-learning, gamma: 1.5}", r"task\.gamma=1\.5 does not fit.*less than or equal to 1", base=PONG
    ),
    config("task: {name: q-learning, tau: 0}", r"task\.tau=0 does not fit.*greater than 0", base=PONG),
    config("task: {name: actor-critic, kind: pp0}", r"task\.kind='pp0' is not one of.*ppo", base=PONG),
    config("task: {name: actor-critic, clip: 0}", r"task\.clip=0 does not fit.*greater than 0", base=PONG),
    config("task: {name: actor-critic, passes: 0}", r"task\.passes=0 does not fit.*greater than 0", base=PONG),
    config("task: {name: policy-gradient, baseline: median}", r"task\.baseline='median' is not one of", base=PONG),
    config("task: actor-critic", r"task.*actor-critic.*tabular-classification"),
    config("task: actor-critic\nmodel: policy", r"the value of a state.*use model: actor_critic", base=PONG),
    config(
        "task: actor-critic\nmodel: dqn",
        r"gives a distribution over a fixed set of actions.*Tensor.*actor_critic",
        base=PONG,
    ),
    config(
        "task: q-learning\nmodel: policy", r"model policy is for policy-gradient, and the task is q-learning", base=PONG
    ),
    config(
        "task: {name: policy-gradient, baseline: value}\nmodel: policy",
        r"the value of a state.*actor_critic",
        base=PONG,
    ),
    config(
        "task: actor-critic\nmodel: {name: actor_critic, actions: discrete}",
        r"gives a distribution over numbers.*leave model\.actions out",
        base=SWING,
    ),
]

MODEL = [
    config("model: 7", r"config\.yaml:2: model=7 does not fit; expected a valid string or a section"),
    config("model: []", r"model=\[\] does not fit; expected a valid string or a section"),
    config("model: {}", r"model\.name is missing; add it"),
    config("model: {name: ~}", r"model\.name.*(missing|does not fit)"),
    config("model: {hidden: [4]}", r"model\.name is missing; add it"),
    config("model: lenet6", r"config\.yaml:2: .*lenet6.*did you mean lenet5\?"),
    config("model: {name: MPL}", r"model.*MPL.*did you mean mlp\?"),
    config("model: resnet-9000", r"model.*resnet-9000.*(known|did you mean)"),
    config(
        "model: {name: mlp, hiden: [4]}", r"config\.yaml:2: model\.hiden is not a known setting; did you mean hidden\?"
    ),
    config("model: {name: mlp, hidden: 5}", r"model\.hidden=5 does not fit; expected a.*(list|sequence)"),
    config("model: {name: mlp, hidden: '64'}", r"model\.hidden='64' does not fit"),
    config("model: {name: mlp, hidden: [0]}", r"model\.hidden\[0\]=0 does not fit; expected greater than 0"),
    config("model: {name: mlp, hidden: [4, -3]}", r"model\.hidden\[1\]=-3 does not fit; expected greater than 0"),
    config("model: {name: mlp, hidden: [1.5]}", r"model\.hidden\[0\]=1\.5 does not fit; expected .*integer"),
    config("model: {name: mlp, dropout: 1.0}", r"model\.dropout=1\.0 does not fit; expected less than 1"),
    config("model: {name: mlp, dropout: -0.1}", r"model\.dropout=-0\.1 does not fit"),
    config("model: {name: mlp, dropout: .nan}", r"model\.dropout=nan does not fit"),
    config("model: {name: mlp, dropout: a}", r"model\.dropout='a' does not fit; expected a valid number"),
    config("model: {name: mlp, activation: rellu}", r"model\.activation='rellu' .*did you mean relu\?"),
    config("model: {name: mlp, norm: batchnorm}", r"model\.norm='batchnorm' .*batch"),
    config("model: {name: mlp, norm: instance}", r"config\.yaml:2: model\.norm='instance'.*use batch"),
    config("model: {name: mlp, num_classes: 2}", r":2: model mlp.*last layer 3 outputs"),
    config("model: {name: mlp, in_features: 7}", r":2: .*7 numbers.*in_features=6"),
    config("model: {name: mlp, num_classes: three}", r"model\.num_classes='three' does not fit"),
    pictures("model: {name: lenet5, variant: clasic}", r"model\.variant='clasic' .*did you mean classic\?"),
    pictures("model: {name: lenet5, image_size: 8}", r"model\.image_size=8 is too small.*at least"),
    pictures("model: {name: lenet5, in_channels: 3}", r":2: .*LeNet.*3x16x16.*got 1x16x16"),
    story(
        "model: {name: gpt, num_heads: 5, hidden_size: 64}", r"model\.num_heads=5 does not divide hidden_size=64; use"
    ),
    story("model: {name: gpt, num_layers: 0}", r"model\.num_layers=0 does not fit; expected greater than 0"),
    story("model: {name: gpt, context: -1}", r"model\.context=-1 does not fit; expected greater than 0"),
    story("model: {name: gpt, positions: rotary}", r"model\.positions='rotary' is not one of learned or sinusoidal"),
    story(
        "model: {name: gpt, num_layers: 1, num_heads: 2, hidden_size: 8, context: 5000}",
        r"1,?\d* tokens.*shorter context",
        3,
    ),
    story(
        "model: {name: gpt, vocab_size: 3, num_layers: 1, num_heads: 2, hidden_size: 8, context: 8}",
        r":2: code \d+ has no vector: model\.vocab_size=3",
    ),
    config("model: {name: mlp, layers: [relu]}", r"model.*name.*layers|model\.name is not a known setting"),
    config("model: lenet5", r"model.*lenet5.*in_channels.*use mlp"),
    config("model: gpt", r"model.*gpt.*vocab_size.*use mlp"),
    config("model: dqn", r"model.*dqn.*num_actions.*use mlp"),
    config("model: gan", r"model.*gan.*image_shape.*use mlp"),
    pictures("model: gpt", r"model.*gpt.*vocab_size.*use .*lenet5"),
    pictures("model: dqn", r"model.*dqn.*num_actions.*use .*lenet5"),
    pictures("model: gan", r":2: model gan is for gan.*image-classification"),
    story("model: mlp", r"model.*mlp.*in_features.*use rnn_lm"),
    story("model: lenet5", r"model.*lenet5.*in_channels.*use rnn_lm"),
    config("model: lenet5", r"model.*lenet5.*use dqn", base=PONG),
    config("model: mlp", r"model.*mlp.*use dqn", base=PONG),
    config("model: gpt", r"model.*gpt.*use dqn", base=PONG),
    config("model: {name: dqn, in_features: 9}", r":3: .*9 numbers.*got 4.*in_features=4", base=PONG),
    config("model: {name: dqn, num_actions: 1}", r":3: model\.num_actions=1 is not the 2.*leave it out", base=PONG),
]

LAYERS = [
    config("model: {layers: relu}", r"model\.layers.*is not a list of layers"),
    config("model: {layers: []}", r"model\.layers.*is not a list of layers"),
    config("model: {layers: {linear: 3}}", r"model\.layers.*is not a list of layers"),
    config("model: {layers: 5}", r"model\.layers.*is not a list of layers"),
    config("model: {layers: [linear], foo: 1}", r"model\.foo is not a known setting"),
    config("model: {layers: [5]}", r"model\.layers\[0\]=5 is not a layer; write a name"),
    config("model: {layers: [~]}", r"model\.layers\[0\]=None is not a layer"),
    config("model: {layers: [[relu]]}", r"model\.layers\[0\]=.* is not a layer"),
    config("model: {layers: [{}]}", r"model\.layers\[0\]=\{\} is not a layer"),
    config("model: {layers: [reluu, linear]}", r"model\.layers\[0\].*reluu.*did you mean relu\?"),
    config("model: {layers: [{linaer: 3}]}", r"model\.layers\[0\].*linaer.*did you mean linear\?"),
    config("model: {layers: [{linear: 0}]}", r"model\.layers\[0\].*linear=0 does not fit; expected greater than 0"),
    config("model: {layers: [{linear: many}]}", r"model\.layers\[0\].*linear='many' does not fit"),
    config("model: {layers: [{linear: 4, bais: true}, linear]}", r"model\.layers\[0\]\.bais.*did you mean bias\?"),
    config("model: {layers: [{linear: 4, conv: 3}]}", r"model\.layers\[0\].*several layers.*entry of its own"),
    config("model: {layers: [conv, linear]}", r"model\.layers\[0\].*conv needs a value"),
    config("model: {layers: [{conv: 3}, flatten, linear]}", r"model\.layers\[0\].*conv.*needs a feature map"),
    config("model: {layers: [softmax, linear]}", r"model\.layers\[0\].*softmax.*output only"),
    config("model: {layers: [{residual: 3}, linear]}", r"model\.layers\[0\].*residual.*is not a list of layers"),
    config("model: {layers: [{dropout: 1.5}, linear]}", r"model\.layers\[0\].*dropout=1\.5 does not fit"),
    config("model: {layers: [lstm, linear]}", r"model\.layers\[0\].*lstm.*needs (a sequence|a value)"),
    config("model: {layers: [{linear: 2}]}", r":2: model layers.*last layer 3 outputs"),
    config("model: {layers: [relu]}", r":2: nothing to train.*layers with weights"),
    pictures("model: {layers: [{conv: 4, kernel: 40}, flatten, linear]}", r"model\.layers\[0\].*kernel"),
    pictures("model: {layers: [{conv: 4, kernel: a}, flatten, linear]}", r"model\.layers\[0\].*kernel='a'"),
    pictures("model: {layers: [{pool: median}, flatten, linear]}", r"model\.layers\[0\].*pool='median' .*max"),
    pictures("model: {layers: [{conv: 4}, linear]}", r"model(\.layers\[1\])?.*flatten"),
    pictures("model: {layers: [{conv: 4}]}", r"predictions of shape.*last layer|model layers and photos do not fit"),
    pictures("model: {layers: [{reshape: [7, 7]}, flatten, linear]}", r"model\.layers\[0\].*reshape"),
]

LOSS = [
    config("loss: 5", r"loss=5 does not fit"),
    config("loss: []", r"loss=\[\] does not fit"),
    config("loss: {}", r"loss\.name is missing; add it"),
    config("loss: cross-entrpy", r"loss.*did you mean cross-entropy\?"),
    config("loss: {name: cross-entropy, label_smothing: 0.1}", r"loss\.label_smothing.*did you mean label_smoothing\?"),
    config("loss: {name: cross-entropy, label_smoothing: 1.5}", r"loss\.label_smoothing=1\.5 does not fit"),
    config("loss: {name: cross-entropy, label_smoothing: high}", r"loss\.label_smoothing='high' does not fit"),
    config("loss: mse", r":4: loss mse.*use cross-entropy|:4: loss mse.*Use cross-entropy"),
    config("loss: {name: huber, delta: 0}", r"loss\.delta=0 does not fit; expected greater than 0", base=PRICES),
    pictures("task: gan\nmodel: gan\nloss: mse", r"task gan makes its own loss; remove the loss section"),
]

OPTIMIZER = [
    config("optimizer: 5", r"optimizer=5 does not fit"),
    config("optimizer: []", r"optimizer=\[\] does not fit"),
    config("optimizer: adamm", r"config\.yaml:4: optimizer.*did you mean adam(w)?\?"),
    config("optimizer: {name: 5}", r"optimizer\.name.*5"),
    config("optimizer: {lr: -1}", r"config\.yaml:4: optimizer\.lr=-1 does not fit; expected greater than 0"),
    config("optimizer: {lr: 0}", r"optimizer\.lr=0 does not fit; expected greater than 0"),
    config("optimizer: {lr: .nan}", r"optimizer\.lr=nan does not fit; expected"),
    config("optimizer: {lr: .inf}", r"optimizer\.lr=inf does not fit; expected a finite number"),
    config("optimizer: {lr: fast}", r"optimizer\.lr='fast' does not fit; expected a valid number"),
    config("optimizer: {lr: '1e-3'}", r"optimizer\.lr='1e-3' does not fit; expected a valid number"),
    config("optimizer: {lr: true}", r"optimizer\.lr=True does not fit; expected a valid number"),
    config("optimizer: {lr: [1e-3]}", r"optimizer\.lr=\[0\.001\] does not fit; expected a valid number"),
    config("optimizer: {lr: ~}", r"optimizer\.lr=None does not fit"),
    config("optimizer: {name: sgd, momentum: 1.5}", r"optimizer\.momentum=1\.5 does not fit; expected less than 1"),
    config("optimizer: {name: sgd, momentun: 0.9}", r"optimizer\.momentun .*did you mean momentum\?"),
    config("optimizer: {name: sgd, nesterov: true, momentum: 0}", r"optimizer.*nesterov.*needs momentum"),
    config("optimizer: {name: adam, betas: 0.9}", r"optimizer\.betas=0\.9 does not fit"),
    config("optimizer: {name: adam, betas: [0.9]}", r"optimizer\.betas.*(missing|two|2)"),
    config("optimizer: {name: adam, betas: [0.9, 1.5]}", r"optimizer\.betas\[1\]=1\.5 does not fit"),
    config("optimizer: {weight_decay: -1}", r"optimizer\.weight_decay=-1 does not fit"),
    config("optimizer: {schedule: cosin}", r"optimizer\.schedule.*did you mean cosine\?"),
    config("optimizer: {schedule: 5}", r"optimizer\.schedule=5 does not fit; expected one of"),
    config("optimizer: {schedule: {name: cosine, foo: 1}}", r"optimizer\.schedule\.foo is not a known setting"),
    config("optimizer: {warmup: -1}", r"optimizer\.warmup=-1 does not fit"),
    config("optimizer: {clip: 0}", r"optimizer\.clip=0 does not fit; expected greater than 0"),
    config("optimizer: {clip_value: -2}", r"optimizer\.clip_value=-2 does not fit"),
    config("optimizer: {average: emma}", r"optimizer\.average.*did you mean ema\?"),
    config("optimizer: {average: {name: ema, decay: 2}}", r"optimizer\.average\.decay=2 does not fit"),
    config("optimizer: {layer_decay: 2}", r"optimizer\.layer_decay=2 does not fit"),
    config("optimizer: {freeze: 5}", r"optimizer\.freeze=5 does not fit; expected a.*list"),
    config("optimizer: {freeze: trunk}", r"optimizer\.freeze='trunk' does not fit; expected a.*list"),
    config("optimizer: {freeze: [trnk]}", r"config\.yaml:4: optimizer\.freeze.*trnk.*did you mean trunk\?"),
    config("optimizer: {freeze: ['*']}", r":4: nothing to train.*freeze less"),
    config("optimizer: {lr_scale: {head: -1}}", r"optimizer\.lr_scale\.head=-1 does not fit"),
    config(
        "optimizer: {learning_rate: 0.1}", r"optimizer\.learning_rate is not a known setting; (did you mean|known:).*lr"
    ),
]

TRAIN = [
    config("train: 5", r"config\.yaml:3: train=5 does not fit"),
    config("train: []", r"train=\[\] does not fit"),
    config("train: {epochs: 0}", r"config\.yaml:3: train\.epochs=0 does not fit; expected greater than 0"),
    config("train: {epochs: -1}", r"train\.epochs=-1 does not fit; expected greater than 0"),
    config("train: {epochs: 1.5}", r"train\.epochs=1\.5 does not fit; expected a valid integer"),
    config("train: {epochs: '3'}", r"train\.epochs='3' does not fit; expected a valid integer"),
    config("train: {epochs: true}", r"train\.epochs=True does not fit; expected a valid integer"),
    config("train: {epochs: ~}", r"train\.epochs=None does not fit; expected a valid integer"),
    config("train: {epoch: 3}", r"train\.epoch is not a known setting; did you mean epochs\?"),
    config("train: {batchsize: 3}", r"train\.batchsize is not a known setting; did you mean batch_size\?"),
    config("train: {batch_size: 0}", r"train\.batch_size=0 does not fit; expected greater than 0"),
    config("train: {batch_size: -5}", r"train\.batch_size=-5 does not fit; expected greater than 0"),
    config("train: {batch_size: big}", r"train\.batch_size='big' does not fit; expected a valid integer"),
    config(
        "train: {batch_size: 5000}",
        r"config\.yaml:3: train\.batch_size=5000 is larger than the data \(4\d examples\); use",
    ),
    config(
        "train: {batch_size: 1}\nmodel: {name: mlp, norm: batch}",
        r":3: train\.batch_size=1 is too small for batch norm; use 2",
    ),
    config("train: {steps: 0}", r"train\.steps=0 does not fit; expected greater than 0"),
    config("train: {accumulate: 0}", r"train\.accumulate=0 does not fit; expected greater than 0"),
    config("train: {precision: fp8}", r"train\.precision='fp8' is not one of auto, float32 or bf16"),
    config("train: {precision: 16}", r"train\.precision=16 is not one of auto, float32 or bf16"),
    config(
        "train: {device: gpu}", r"config\.yaml:3: train\.device='gpu' is not on this machine; use auto or one of cpu"
    ),
    config("train: {device: 'cuda:99'}", r"train\.device='cuda:99' is not on this machine; use auto or one of cpu"),
    config("train: {device: meta}", r"train\.device='meta' is not on this machine; use auto or one of cpu"),
    config("train: {device: ''}", r"train\.device='' is not on this machine; use auto or one of cpu"),
    config("train: {device: 5}", r"train\.device=5 does not fit; expected a valid string"),
    config("train: {seed: -1}", r"train\.seed=-1 does not fit; expected greater than or equal to 0"),
    config("train: {seed: 1.5}", r"train\.seed=1\.5 does not fit; expected a valid integer"),
    config("train: {seed: 99999999999999999999999}", r"train\.seed=9+ does not fit; expected"),
    config("train: {early_stop: 5}", r"train\.early_stop=5 does not fit; expected a section"),
    config("train: {early_stop: {}}", r"train\.early_stop\.patience is missing; add it"),
    config("train: {early_stop: {patience: 0}}", r"train\.early_stop\.patience=0 does not fit"),
    config("train: {early_stop: {patiense: 3}}", r"train\.early_stop\.patiense .*did you mean patience\?"),
    config("train: {early_stop: {patience: 3, min_delta: -1}}", r"train\.early_stop\.min_delta=-1 does not fit"),
    config("train: {validate_every: 0}", r"train\.validate_every=0 does not fit.*(epoch|greater than 0)"),
    config("train: {checkpoint_every: minute}", r"train\.checkpoint_every='minute'.*epoch.*integer"),
    config("train: {checkpoint_every: -3}", r"train\.checkpoint_every=-3"),
    config("train: {workers: -1}", r"train\.workers=-1 does not fit"),
    config("train: {threads: 0}", r"train\.threads=0 does not fit; expected greater than 0"),
    config("train: {track: tensorboard}", r"train\.track='tensorboard' does not fit; expected a.*list"),
    config("train: {track: [wandb]}", r"train\.track\[0\]='wandb' is not one of tensorboard or mlflow"),
]

AUGMENT = [
    pictures("augment: flip", r"augment='flip' does not fit; expected .*list"),
    pictures("augment: {flip: 0.5}", r"augment=.* does not fit; expected .*list"),
    pictures("augment: [flop]", r"config\.yaml:4: augment\[0\].*flop.*did you mean flip\?"),
    pictures("augment: [{crop: {paddin: 2}}]", r"augment\[0\]\.crop\.paddin .*did you mean padding\?"),
    pictures("augment: [{rotate: abc}]", r"augment\[0\]\.rotate.*'abc' does not fit"),
    pictures("augment: [5]", r"augment\[0\]=5 does not fit; expected a name"),
    pictures("augment: [{flip: {}, crop: {}}]", r"augment\[0\]=.* does not fit; expected a name"),
    config("augment: [flip]", r"config\.yaml:4: augment.*flip is for pictures.*leave it out"),
    story("augment: [flip]", r"augment.*flip.*leave it out"),
]

MANY = [
    config(
        "model: {name: mlp, hiden: [4]}\noptimizer: {lr: -1}\ntrain: {epochs: 0, device: 5}\nexpekt: {}",
        r"(?s)(?=.*:2: model\.hiden)(?=.*:4: optimizer\.lr)(?=.*:3: train\.epochs)(?=.*:3: train\.device)(?=.*:5: expekt)",
    ),
    config("task: [1]\nloss: 3\naugment: 4\nmetrics: 5", r"(?s)(?=.*task=)(?=.*loss=3)(?=.*augment=4)(?=.*metrics=5)"),
    config("optimizer: {lr: -1, clip: 0, foo: 1, schedule: x}", r"(?s)(?=.*lr=-1)(?=.*clip=0)(?=.*foo)(?=.*schedule)"),
]

CASES = [*TOP, *TASK, *MODEL, *LAYERS, *LOSS, *OPTIMIZER, *TRAIN, *AUGMENT, *MANY]
