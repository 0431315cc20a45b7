//! The tables of the fixture.

use super::super::fixture;
use super::super::records::EpochRecord;
use super::super::samples::TimingSample;
use super::*;

fn text(csv: Vec<u8>) -> String {
    String::from_utf8(csv).unwrap()
}

/// The fixture's runs with times and epochs that are easy to calculate with.
fn runs() -> Vec<Run> {
    let (_temporary, folder) = fixture::folder();
    let mut runs = folder.read_runs(&fixture::order()).unwrap().ended;
    for run in &mut runs {
        let sample = |mode, batch_size, seconds| TimingSample { mode, batch_size, seconds };
        run.timing = if run.done().is_some() {
            vec![
                sample(TimingMode::TrainStep, 64, 0.5),
                sample(TimingMode::TrainStep, 64, 0.25),
                sample(TimingMode::TrainStep, 64, 1.0),
                sample(TimingMode::Inference, 64, 0.125),
                sample(TimingMode::Inference, 1, 0.015625),
                sample(TimingMode::Inference, 1, 0.03125),
            ]
        } else {
            Vec::new()
        };
        let epoch = |epoch, top1| EpochRecord {
            epoch,
            lr: 0.001,
            train_loss: 1.5,
            train_top1: 0.375,
            split: "val".to_owned(),
            eval_loss: 1.25,
            eval_top1: top1,
            eval_top5: None,
            non_ema_eval_loss: None,
            non_ema_eval_top1: None,
            train_seconds: 300.0,
            eval_seconds: 30.0,
            train_images_per_s: 150.0,
        };
        run.epochs = vec![epoch(1, 0.5), epoch(2, f64::NAN), epoch(3, 0.75), epoch(4, 0.625)];
    }
    runs
}

#[test]
fn models() {
    insta::assert_snapshot!(text(models_csv(&runs())), @r"
    schema,model,architecture,params,params_module_wise,tokens,macs_patches,macs_projections,macs_attention,macs_mlp,macs_head,macs,flops
    2,vit-tiny,vit,2693578,2666642,65,589824,57507840,9734400,115015680,1920,182849664,365699328
    2,linformer-tiny,linformer,2742986,2715556,65,589824,57507840,4792320,115015680,1920,177907584,355815168
    2,conv-vit-tiny,conv_vit,3214090,3181949,65,589824,57507840,9734400,115015680,1920,182849664,365699328
    ");
}

#[test]
fn a_model_without_a_completed_run_has_empty_cells() {
    let failed: Vec<Run> = runs().into_iter().filter(|run| run.failed().is_some()).collect();
    insta::assert_snapshot!(text(models_csv(&failed)).lines().last().unwrap(), @"2,linformer-tiny,linformer,,,,,");
    assert_eq!(text(models_csv(&[])), "schema\n");
}

#[test]
fn epochs() {
    insta::assert_snapshot!(text(epochs_csv(&runs()[..1])), @r"
    schema,model,seed,run,epoch,lr,train_loss,train_top1,split,eval_loss,eval_top1,eval_top5,non_ema_eval_loss,non_ema_eval_top1,train_seconds,eval_seconds,train_images_per_s
    2,vit-tiny,0,vit-tiny-s0,1,0.001,1.5,0.375,val,1.25,0.5,,,,300.0,30.0,150.0
    2,vit-tiny,0,vit-tiny-s0,2,0.001,1.5,0.375,val,1.25,NaN,,,,300.0,30.0,150.0
    2,vit-tiny,0,vit-tiny-s0,3,0.001,1.5,0.375,val,1.25,0.75,,,,300.0,30.0,150.0
    2,vit-tiny,0,vit-tiny-s0,4,0.001,1.5,0.375,val,1.25,0.625,,,,300.0,30.0,150.0
    ");
}

#[test]
fn throughput() {
    // numpy.quantile([0.25, 0.5, 1.0], [0.5, 0.9, 0.99]) = 0.5, 0.9, 0.99
    insta::assert_snapshot!(text(throughput_csv(run_throughput(&by_model(&runs()[..1])[0]).iter())), @r"
    schema,model,mode,batch_size,precision,source,processes,blocks,disturbed_blocks,median_s,p90_s,p99_s,images_per_s,low,high,gflop_per_s,mfu_percent
    2,vit-tiny,train_step,64,f32,run,1,,,0.5,0.9,0.99,128.0,,,140.428541952,35.107135488
    2,vit-tiny,inference,1,f32,run,1,,,0.0234375,0.0296875,0.03109375,42.666666666666664,,,15.603171328,3.900792832
    2,vit-tiny,inference,64,f32,run,1,,,0.125,0.125,0.125,512.0,,,187.238055936,46.809513984
    ");
}

#[test]
fn summary() {
    insta::assert_snapshot!(text(summary_csv(&runs(), &Stage::default())), @r"
    schema,model,architecture,seed,run,status,reason,message,params,macs,test_top1,test_top5,test_loss,non_ema_test_top1,epochs,eval_split,best_epoch,best_eval_top1,last_eval_top1,train_seconds,train_batch_size,train_images_per_s,epoch_images_per_s,inference_batch_size,inference_images_per_s,latency_s,train_peak_rss_bytes,data_fingerprint,batch_digest,device,precision,threads,version
    2,vit-tiny,vit,0,vit-tiny-s0,done,,,2693578,182849664,0.734,0.97,0.8660000000000001,,4,val,3,0.75,0.625,1638.0,64,128.0,150.0,64,512.0,0.0234375,1243097248,d41d8cd98f00b204,b0c4e19a70,flex,f32,8,0.1.0 (a1b2c3d)
    2,vit-tiny,vit,1,vit-tiny-s1,done,,,2693578,182849664,0.738,0.971,0.8660000000000001,,4,val,3,0.75,0.625,1638.0,64,128.0,150.0,64,512.0,0.0234375,1243097248,d41d8cd98f00b204,b1c4e19a70,flex,f32,8,0.1.0 (a1b2c3d)
    2,linformer-tiny,linformer,0,linformer-tiny-s0,done,,,2742986,177907584,0.721,0.97,0.8790000000000001,,4,val,3,0.75,0.625,1254.0,64,128.0,150.0,64,512.0,0.0234375,1243887776,d41d8cd98f00b204,b0c4e19a70,flex,f32,8,0.1.0 (a1b2c3d)
    2,linformer-tiny,linformer,1,linformer-tiny-s1,failed,diverged,the loss is NaN at step 412,,,,,,,4,val,3,0.75,0.625,,,,150.0,,,,,d41d8cd98f00b204,,flex,f32,8,0.1.0 (a1b2c3d)
    2,conv-vit-tiny,conv_vit,0,conv-vit-tiny-s0,done,,,3214090,182849664,0.792,0.97,0.808,,4,val,3,0.75,0.625,3947.0,64,128.0,150.0,64,512.0,0.0234375,1251425440,d41d8cd98f00b204,b0c4e19a70,flex,f32,8,0.1.0 (a1b2c3d)
    2,conv-vit-tiny,conv_vit,1,conv-vit-tiny-s1,done,,,3214090,182849664,0.796,0.971,0.808,,4,val,3,0.75,0.625,3947.0,64,128.0,150.0,64,512.0,0.0234375,1251425440,d41d8cd98f00b204,b1c4e19a70,flex,f32,8,0.1.0 (a1b2c3d)
    ");
}

#[test]
fn text_that_a_spreadsheet_would_run_is_quoted() {
    for (text, cell) in [
        ("=cmd|' /C calc'!A0", "'=cmd|' /C calc'!A0"),
        ("+1", "'+1"),
        ("-1", "'-1"),
        ("@sum", "'@sum"),
        ("\t=1", "'\t=1"),
        ("\r=1", "'\r=1"),
        ("vit=tiny", "vit=tiny"),
        ("", ""),
    ] {
        assert_eq!(text_cell(text), cell);
    }
}
