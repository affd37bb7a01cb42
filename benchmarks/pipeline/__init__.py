"""The article's pipeline, a stage a module, in its order.

    collect      find the images, clean them: missing, empty, corrupt and duplicate ones are counted and left out
    normalise    min-max and z-score
    augment      padding and random crop, random rotation, random flip
    split        stratified and seeded: train, validation, test
    batches      batch and shuffle, resumable
    model        build it (models/simple_cnn.py), its loss
    optimise     SGD, Adam, AdamW; warm-up and decay
    training     the loop: gradient clipping, early stopping, weight decay, dropout
    evaluate     accuracy, macro precision, recall and F1, confusion matrix
    finetune     from a checkpoint: frozen backbone or all layers
    export       ONNX, parity with onnxruntime, digest
    checkpoint   iterate: a resumed run equals one that was never stopped

What the modules share: images are uint8 tensors (N, C, H, W) until they are on the device, C is 1 or 3; labels are int64 (N,).
"""
